"""Reverse proxies in front of us are believed only as many hops as the setting says."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix


def trust(app: Flask) -> None:
    """Read X-Forwarded-* from LIUKE_PROXIES hops; 0 reads none, so that nobody can forge an address."""
    hops = app.config["LIUKE_PROXIES"]
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
