"""An asyncio client for Apache Cassandra and ScyllaDB over the DataStax/ScyllaDB C++ driver."""
