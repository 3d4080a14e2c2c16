# TLS: what security.py describes, handed to the driver.

from acsylla_like import security as _security

# CassSslVerifyFlags. The driver checks just what is asked for: a name without the certificate's chain would prove nothing.
_VERIFY_FLAGS = {"none": 0, "certificate": 0x1, "address": 0x1 | 0x2, "name": 0x1 | 0x4}


cdef object set_tls(CassCluster* cluster, object given):
    """Has the cluster's connections use TLS as the option `ssl` says; returns the Tls that this is, or None."""
    tls = _security.tls_of(given)
    if tls is None:
        return None
    require(<void*>driver.cass_cluster_set_ssl, "cass_cluster_set_ssl")
    require(<void*>driver.cass_ssl_new, "cass_ssl_new")
    material = tls._read()
    cdef SslHandle ssl
    ssl.reset(driver.cass_ssl_new())
    driver.cass_ssl_set_verify_flags(ssl.get(), _VERIFY_FLAGS[tls.verify])
    cdef bytes pem
    cdef CassError code
    for where, pem in material.trusted:
        code = driver.cass_ssl_add_trusted_cert_n(ssl.get(), <const char*>pem, len(pem))
        if tls.trust is not None:  # of the system's many, one that this OpenSSL does not understand is no reason to stop
            check(code, where)
    if material.certificate is not None:
        _set_client_certificate(ssl.get(), material)
    if tls.verify == "name":
        require(<void*>driver.cass_cluster_set_use_hostname_resolution, "cass_cluster_set_use_hostname_resolution")
        # The driver asks the resolver for the name of each node's address; without this it compares with no name at all.
        check(driver.cass_cluster_set_use_hostname_resolution(cluster, 1), "verify='name'")
    driver.cass_cluster_set_ssl(cluster, ssl.get())
    return tls


cdef int _set_client_certificate(CassSsl* ssl, object material) except -1:
    cdef bytes chain = material.certificate
    cdef bytes key = material.key
    cdef bytes password = material.key_password
    check(driver.cass_ssl_set_cert_n(ssl, <const char*>chain, len(chain)), material.certificate_name)
    check(driver.cass_ssl_set_private_key_n(ssl, <const char*>key, len(key), <const char*>password, len(password)),
          material.key_name)
    # The driver (cass_ssl_set_private_key_n, 2.16.2) takes no notice when the key is another certificate's. OpenSSL keeps that
    # in the thread's queue of errors, and the next certificate is refused for it.
    if driver.cass_ssl_set_cert_n(ssl, <const char*>chain, len(chain)) != CASS_OK:
        raise _errors.TlsError(f"{material.key_name}: it is not the key of {material.certificate_name}")
    return 0
