import logging, os
BACKEND = "Bench"
BOT_DATA_DIR = os.environ["BENCH_DATA"]
_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BOT_EXTRA_BACKEND_DIR = _HOME + "/errbot_backend"
BOT_EXTRA_PLUGIN_DIR = __import__("glob").glob(os.environ["PEER_VENV"] + "/lib/python3.*/site-packages/err-stackstorm")[0]   # the wheel has no entry point, so it must be named
BOT_LOG_FILE = BOT_DATA_DIR + "/err.log"
BOT_LOG_LEVEL = getattr(logging, os.environ.get("BENCH_LOG", "INFO"))
AUTOINSTALL_DEPS = False
BOT_IDENTITY = {"username": "@errbot"}
BOT_ADMINS = ("@admin",)
CHATROOM_PRESENCE = ()
BOT_PREFIX = "!"
_P = os.environ.get("ST2_PORT", "9199")
import json as _j
STACKSTORM = {
    "auth_url": f"http://127.0.0.1:{_P}/auth/v1", "api_url": f"http://127.0.0.1:{_P}/api/v1", "stream_url": f"http://127.0.0.1:{_P}/stream/v1",
    "route_key": "errbot", "plugin_prefix": "st2", "verify_cert": True, "secrets_store": "cleartext",
    "api_auth": {"user": {"name": "errbot", "password": "secret"}}, "rbac_auth": {"standalone": {}}, "timer_update": 900,
}
STACKSTORM.update(_j.loads(os.environ.get("BENCH_ST2", "{}")))
for _k, _v in _j.loads(os.environ.get("BENCH_CFG", "{}")).items(): globals()[_k] = _v
