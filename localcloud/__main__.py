"""``python -m localcloud``: the server's process; the supervisor starts it."""

from localcloud.server import serve

if __name__ == "__main__":
    serve()
