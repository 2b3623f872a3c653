"""The built-in HTTP server: uvicorn's protocol on one thread, the application on others.

Inwards from the network: ``listener`` accepts connections within the bounds of ``connections``;
``protocol`` is uvicorn's (httptools' parser), with limits and deadlines; ``gateway`` reads the body
and hands the whole request to the ``lanes``, whose workers call the WSGI application.
"""
