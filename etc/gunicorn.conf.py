# The REST API behind gunicorn, in the place of "mistral-server --server api":
#
#   MISTRAL_CONFIG_FILE=/etc/mistral/mistral.conf gunicorn --config /etc/mistral/gunicorn.conf.py
#
# Each worker has connections to database and broker of its own, made at its first request.
wsgi_app = "mistral.wsgi:application"
# without authentication, for this machine only; [api] host and port say the same to the service
bind = "127.0.0.1:8989"
workers = 2
worker_class = "gthread"
# a request that waits for an engine holds one; callbacks of third parties need one, too
threads = 16
# seconds without a sign of life of a worker, not of a request
timeout = 30
# what has begun may end: more than [api] engine_timeout and [DEFAULT] rpc_response_timeout
graceful_timeout = 70
keepalive = 5
