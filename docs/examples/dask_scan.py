"""A whole table as a Dask dataframe: the splits of a scan are read by Dask's workers, each with a session of its own.

    python docs/examples/dask_scan.py 127.0.0.1:9042 keyspace.table column

Counts the rows and prints the mean of a column of numbers. Needs `pip install "dask[dataframe]"`.
"""

from __future__ import annotations

import asyncio
import sys

import dask.dataframe as dd
import pandas as pd
import pyarrow as pa

import acsylla_like


async def splits_of(host: str, port: int, table: str, columns: list[str]) -> tuple[list[acsylla_like.ScanSplit], pd.DataFrame]:
    """The parts of the table, and a frame without rows that has its columns."""
    async with acsylla_like.connect(host, port=port) as session:
        scan = session.scan(table, columns=columns, splits=16)
        schema: pa.Schema = pa.schema(await scan.schema())
        return await scan.splits(), schema.empty_table().to_pandas()


def read(split: acsylla_like.ScanSplit, host: str, port: int) -> pd.DataFrame:
    """The rows of one part; runs in a worker, to which the split came pickled."""

    async def read_split() -> pd.DataFrame:
        async with acsylla_like.connect(host, port=port) as session:
            return pa.table(await session.scan(split).to_table()).to_pandas()

    return asyncio.run(read_split())


def main() -> None:
    address, table, column = sys.argv[1:]
    host, _, port = address.rpartition(":")
    splits, empty = asyncio.run(splits_of(host, int(port), table, [column]))
    frame = dd.from_map(read, splits, host=host, port=int(port), meta=empty)
    count, mean = dd.compute(frame.shape[0], frame[column].mean(), scheduler="processes", num_workers=2)
    print(f"{count} rows in {len(splits)} parts, {column} is {mean:.3f} on average")


if __name__ == "__main__":  # Dask's processes import this file
    main()
