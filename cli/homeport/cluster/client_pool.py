"""The connections themselves: the Kubernetes client's pool, with certificates held in memory only."""

import ssl
from typing import Any

from homeport.cluster.client_answers import Whole
from homeport.cluster.client_config import running, shown
from homeport.cluster.errors import CredentialsRefused, KubeconfigProblem

CONNECTIONS = 16
"""Connections that are kept open: as many as requests are sent at a time."""


class Pool:
    """Sends requests as the user of a kubeconfig."""

    def __init__(self, settings: Any, plugin: str) -> None:
        """`settings` is the Kubernetes client's Configuration, `plugin` what renews its credentials. Raises KubeconfigProblem for certificates that are none."""
        from kubernetes.client.rest import RESTClientObject

        self._settings = settings
        self._plugin = plugin
        self._host = settings.host.rstrip("/")
        settings.connection_pool_maxsize = CONNECTIONS
        settings.retries = False  # the caller knows what may be sent again
        self._manager = RESTClientObject(settings).pool_manager
        if self._host.startswith("https"):
            try:
                self._tls()
            except (ssl.SSLError, OSError):  # its text may quote what the file holds
                raise KubeconfigProblem(
                    f"a certificate or key of the kubeconfig for {shown(self._host)} cannot be used",
                    help="fetch the kubeconfig again",
                ) from None

    def _tls(self) -> None:
        """Read certificates and keys now: the files that the client wrote them to are not to outlive this."""
        from urllib3 import disable_warnings
        from urllib3.exceptions import InsecureRequestWarning
        from urllib3.util.ssl_ import create_urllib3_context

        settings, keywords = self._settings, self._manager.connection_pool_kw
        made = create_urllib3_context(
            cert_reqs=ssl.CERT_REQUIRED if settings.verify_ssl else ssl.CERT_NONE,
        )
        if not settings.verify_ssl:
            disable_warnings(InsecureRequestWarning)  # the kubeconfig asked for it
        elif settings.ssl_ca_cert:
            made.load_verify_locations(settings.ssl_ca_cert)
        else:
            made.load_default_certs()
        if settings.cert_file:
            made.load_cert_chain(settings.cert_file, settings.key_file)
        for keyword in ("ca_certs", "cert_file", "key_file", "ca_cert_data", "cert_reqs"):
            keywords.pop(keyword, None)
        keywords["ssl_context"] = made

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        content_type: str,
        accept: str,
        connect_s: float,
        read_s: float,
    ) -> Whole:
        """Send a request and read the whole answer; urllib3's exceptions are the caller's."""
        from urllib3 import Timeout

        headers = self._headers(accept)
        if body is not None:
            headers["Content-Type"] = content_type
        reply = self._manager.request(
            method,
            self._host + path,
            body=body,
            headers=headers,
            timeout=Timeout(connect=connect_s, read=read_s),
            retries=False,
            redirect=False,
        )
        data = reply.data
        if reply.status >= 300 and (key := headers.get("Authorization", "").removeprefix("Bearer ")):
            # Some proxies repeat what they refuse; nothing of that is to stand in a message.
            data = data.replace(key.encode(), b"(hidden)")
        return Whole(reply.status, data, reply.headers)

    def _headers(self, accept: str) -> dict[str, str]:
        from homeport import __version__

        found = {"Accept": accept, "User-Agent": f"homeport/{__version__}"}
        # Asking for the key renews it where it has expired and the kubeconfig names a plugin.
        with running(self._plugin):
            key = self._settings.get_api_key_with_prefix("BearerToken", alias="authorization")
        if key and not (key.isascii() and key.isprintable()):
            # The HTTP client's own complaint would quote it.
            raise CredentialsRefused(
                "the kubeconfig's token cannot be sent: it holds a line break or another character that no token has",
                help="log in again with your cloud's CLI, then look whether `kubectl get namespaces` works",
            )
        if key:
            found["Authorization"] = key
        return found
