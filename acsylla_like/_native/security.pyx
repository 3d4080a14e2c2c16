# TLS and authenticators: what security.py and authentication.py describe, handed to the driver.

from acsylla_like import authentication as _authentication
from acsylla_like import security as _security

# CassSslVerifyFlags. The driver checks just what is asked for: a name without the certificate's chain would prove nothing.
_VERIFY_FLAGS = {"none": 0, "certificate": 0x1, "address": 0x1 | 0x2, "name": 0x1 | 0x4}

cdef double _LONGEST_AUTH_TIMEOUT = 60.0


cdef int set_tls(Cluster self, CassCluster* cluster, object given) except -1:
    """Has the cluster's connections use TLS as the option `ssl` says."""
    tls = _security.tls_of(given)
    if tls is None:
        return 0
    require(<void*>driver.cass_cluster_set_ssl, "cass_cluster_set_ssl")
    require(<void*>driver.cass_ssl_new, "cass_ssl_new")
    material = tls._read()
    cdef CassSsl* ssl = driver.cass_ssl_new()
    self.ssl.reset(ssl)
    driver.cass_ssl_set_verify_flags(ssl, _VERIFY_FLAGS[tls.verify])
    cdef bytes pem
    cdef CassError code
    for where, pem in material.trusted:
        code = driver.cass_ssl_add_trusted_cert_n(ssl, <const char*>pem, len(pem))
        if tls.trust is not None:  # of the system's many, one that this OpenSSL does not understand is no reason to stop
            check(code, where)
    if material.certificate is not None:
        _set_client_certificate(ssl, material)
    use_ssl(cluster, ssl, tls.verify)
    self.tls = tls
    self.tls_context = material.context(tls.verify)
    return 0


cdef int use_ssl(CassCluster* cluster, CassSsl* ssl, str verify) except -1:
    if verify == "name":
        require(<void*>driver.cass_cluster_set_use_hostname_resolution, "cass_cluster_set_use_hostname_resolution")
        # The driver asks the resolver for the name of each node's address; without this it compares with no name at all.
        check(driver.cass_cluster_set_use_hostname_resolution(cluster, 1), "verify='name'")
    driver.cass_cluster_set_ssl(cluster, ssl)
    return 0


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


cdef int set_authenticator(Cluster self, CassCluster* cluster, object username, object password, object authenticator,
                           double timeout) except -1:
    """Who the cluster's connections are, by its options."""
    cdef bytes name
    cdef bytes secret
    cdef bytes proxied
    if timeout > _LONGEST_AUTH_TIMEOUT:
        raise ValueError(f"auth_timeout must be at most {_LONGEST_AUTH_TIMEOUT:g} s, for which an I/O thread would wait")
    chosen = _authentication.chosen_authenticator(username, password, authenticator)
    if chosen is None:
        if username is not None:
            name = _encoded(username, "username")
            secret = _encoded(password, "password")
            driver.cass_cluster_set_credentials_n(
                cluster, <const char*>name, len(name), <const char*>secret, len(secret))
        return 0
    if isinstance(chosen, _authentication.DsePlainTextAuthenticator):
        require(<void*>driver.cass_cluster_set_dse_plaintext_authenticator_proxy_n,
                "cass_cluster_set_dse_plaintext_authenticator_proxy_n")
        name, secret, proxied = chosen._encoded()
        check(driver.cass_cluster_set_dse_plaintext_authenticator_proxy_n(
            cluster, <const char*>name, len(name), <const char*>secret, len(secret), <const char*>proxied, len(proxied)),
            "authenticator")
        return 0
    self.bridge = _new_bridge(cluster, chosen, timeout)
    self.login = _authentication.Login(chosen, self.bridge, timeout)
    return 0


cdef AuthenticatorBridge _new_bridge(CassCluster* cluster, object authenticator, double timeout):
    require(<void*>driver.cass_cluster_set_authenticator_callbacks, "cass_cluster_set_authenticator_callbacks")
    require(<void*>driver.cass_authenticator_address, "cass_authenticator_address")
    require(<void*>driver.cass_authenticator_class_name, "cass_authenticator_class_name")
    require(<void*>driver.cass_authenticator_exchange_data, "cass_authenticator_exchange_data")
    require(<void*>driver.cass_authenticator_set_exchange_data, "cass_authenticator_set_exchange_data")
    require(<void*>driver.cass_authenticator_set_response, "cass_authenticator_set_response")
    require(<void*>driver.cass_authenticator_set_error_n, "cass_authenticator_set_error_n")
    cdef AuthenticatorBridge bridge = AuthenticatorBridge.__new__(AuthenticatorBridge)
    bridge.authenticator.reset(new CAuthenticator(
        timeout, authenticator.renew_after, authenticator._wants_challenges, authenticator._wants_success))
    check(attach_authenticator(cluster, bridge.authenticator), "authenticator")
    return bridge


@cython.final
cdef class AuthenticatorBridge:
    """Between a cluster's I/O threads, which ask, and the thread of a Login, which answers."""

    cdef CAuthenticator* made(self) except NULL:
        if self.authenticator.get() == NULL:
            raise TypeError("this AuthenticatorBridge was made by __new__")
        return self.authenticator.get()

    def set_response(self, bytes response not None):
        """What connections begin with, from now on."""
        self.made().set_response(response)

    def open(self):
        """Begins to take questions; returns the number of the worker that answers them."""
        return self.made().open()

    def close(self):
        """Ends that: the worker's `next` gives None, and whoever waits gets an error."""
        self.made().close()

    def next(self, uint64_t worker):
        """Blocks until there is a question: (id, exchange, kind, token, address, server); None when it is over."""
        cdef AuthQuestion question
        cdef CAuthenticator* authenticator = self.made()
        cdef cbool is_there
        with nogil:
            is_there = authenticator.next(worker, question)
        if not is_there:
            return None
        return (question.id, question.exchange, question.kind, <bytes>question.token, question.address.decode(),
                question.server.decode("utf-8", "replace"))

    def answer(self, uint64_t question, bytes response not None):
        """Returns whether anybody still waited for it."""
        return self.made().answer(question, response)

    def refuse(self, uint64_t question, str reason not None):
        """Likewise."""
        return self.made().refuse(question, reason.encode())
