"""Settings of an installation, read from the environment (README, "Environment").

Without DATABASE_URL and REDIS_URL the servers embedded in MUSTER_HOME are used; where they listen follows from that
folder alone, so every `manage.py` of the machine finds them. What runs there also says its port and region.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path

import structlog
from csp.constants import NONE, SELF

from config import embedded, environment

BASE_DIR = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("MUSTER_HOME", BASE_DIR / "var")).resolve()
TESTING = "pytest" in sys.modules


# Who may reach it
DEBUG = environment.switch("DEBUG", default=False)
SECRET_KEY = os.environ.get("SECRET_KEY") or environment.kept_secret(HOME)
SECRET_KEY_FALLBACKS = environment.words("SECRET_KEY_FALLBACKS")
_RUNNING = environment.running(HOME)
REGION = os.environ.get("REGION") or _RUNNING.region
PORT = environment.port(default=_RUNNING.port)
BIND = os.environ.get("BIND") or _RUNNING.bind
# The address that people and Mixpanel use, e.g. https://eu1.muster.example; without it, the address of the request.
PUBLIC_URL = os.environ.get("PUBLIC_URL", "").rstrip("/")
# Where this installation reaches its own webhook (the test cohort goes through it).
LOOPBACK_URL = os.environ.get("MUSTER_LOOPBACK", "").rstrip("/")
BEHIND_PROXY = environment.switch("BEHIND_PROXY", default=False)
SECURE = PUBLIC_URL.startswith("https://")
ALLOWED_HOSTS = environment.words("ALLOWED_HOSTS") or ["*"]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL else []

# What it is made of
INSTALLED_APPS = [
    "config",
    "integrations",
    "segments",
    "profiles",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
]
MIDDLEWARE = [
    "profiles.http.RequestLogMiddleware",
    "profiles.bodies.BodyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "profiles.http.SlashMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "profiles.http.ProjectMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "profiles.http.shell",
            ],
        },
    },
]
APPEND_SLASH = False  # profiles.http.SlashMiddleware takes both forms without a redirect, which would lose a POST

# Where it keeps things
DATABASE_URL = os.environ.get("DATABASE_URL") or embedded.Postgres(HOME).url
REDIS_URL = os.environ.get("REDIS_URL") or embedded.Valkey(HOME).url
DATABASES = {"default": environment.database(DATABASE_URL)}
DATABASES["default"].setdefault("OPTIONS", {})["connect_timeout"] = 5
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "muster",
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SESSION_ENGINE = "django.contrib.sessions.backends.db"

# Tasks
CELERY_BROKER_URL = embedded.celery_url(REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 230_000  # kB; a child over it is replaced between two tasks
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_timeout": 5,
    "socket_connect_timeout": 1,
    "global_keyprefix": "muster:",
}
CELERY_TASK_PUBLISH_RETRY = False  # the sweep finds what a lost message left; a caller must not wait for a broker
CELERY_TIMEZONE = "UTC"
CELERY_IMPORTS = ["config.health"]  # the worker's heartbeat
CELERY_BEAT_SCHEDULE_FILENAME = str(HOME / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE = {
    "sweep pages": {"task": "integrations.mixpanel.tasks.sweep_pages", "schedule": timedelta(seconds=5)},
    "close stale syncs": {"task": "integrations.mixpanel.tasks.close_stale_syncs", "schedule": timedelta(minutes=1)},
    "finish erasures": {"task": "integrations.tasks.finish_erasures", "schedule": timedelta(minutes=1)},
    "merge twins": {"task": "integrations.tasks.merge_twins", "schedule": timedelta(hours=1)},
    "trim calls": {"task": "integrations.mixpanel.tasks.trim_calls", "schedule": timedelta(minutes=1)},
    "drop old pages": {"task": "integrations.mixpanel.tasks.drop_old_pages", "schedule": timedelta(hours=1)},
    "follow a restore": {"task": "profiles.tasks.follow_restore", "schedule": timedelta(minutes=1)},
    "keep indexes": {"task": "segments.tasks.keep_indexes", "schedule": timedelta(seconds=5), "options": {"expires": 5}},
    "sweep downloads": {"task": "segments.downloads.tasks.sweep", "schedule": timedelta(seconds=10)},
    "drop old downloads": {"task": "segments.downloads.tasks.drop_old", "schedule": timedelta(hours=1)},
    # the next one is due already: a late one has nothing to add
    "let people join live": {
        "task": "segments.tasks.read_live",
        "schedule": timedelta(seconds=2),
        "options": {"expires": 2},
    },
    "recount segments": {
        "task": "segments.tasks.recount_segments",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "sweep uploads": {"task": "segments.uploads.tasks.sweep", "schedule": timedelta(seconds=30), "options": {"expires": 30}},
    "make event partitions": {"task": "profiles.tasks.make_event_partitions", "schedule": timedelta(hours=6)},
}

# The webhook
PAGE_MAX_BYTES = 16 * 1024 * 1024
PAGE_RETENTION_DAYS = int(os.environ.get("PAGE_RETENTION_DAYS", "30"))
PAGE_MAX_ATTEMPTS = 5
WRONG_PASSCODES_PER_MINUTE = 20
# A session with no new page for this long is shown as incomplete. The sender starts again within 30 minutes.
SYNC_STALE_AFTER = timedelta(minutes=30)

# People's sign-in
AUTH_USER_MODEL = "profiles.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/sign-in/"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=5)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "accounts/locked_out.html"
AXES_IPWARE_PROXY_COUNT = 1 if BEHIND_PROXY else 0
AXES_VERBOSE = False

# What browsers are told
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_SSL_REDIRECT = SECURE
SECURE_REDIRECT_EXEMPT = [r"^api/v1/health/?$"]
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SESSION_COOKIE_SECURE = SECURE
SESSION_COOKIE_AGE = 60 * 60 * 24 * 14
CSRF_COOKIE_SECURE = SECURE
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "profiles.http.csrf_failure"

# Words, times, files
LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True
# What people upload and download, kept for a while
FILES = HOME / "files"
# A query of Find People may have 200 parts with a thousand values each, all of them fields of one form
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000
STATIC_URL = "/static/"
STATIC_ROOT = HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG or TESTING
        else "whitenoise.storage.CompressedManifestStaticFilesStorage",
    },
}
WHITENOISE_USE_FINDERS = DEBUG or TESTING
if TESTING:
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # files come from where they are made; the folder must be there

# The API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "profiles.api.PasscodeAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["profiles.api.HasRole"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "profiles.api.error_response",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Muster",
    "DESCRIPTION": "Segments, people and syncs of one project.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {"SyncKindEnum": "segments.models.Sync.Kind"},
}

# Logs: one line a fact, never a passcode or a person's properties
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=not TESTING,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "INFO")},
    "loggers": {
        "axes": {"level": "ERROR"},
        "celery": {"level": "WARNING"},
        "django.server": {"level": "WARNING"},
        # an answer under 500 is the caller's affair; it stands in the call log
        "django.request": {"level": "ERROR"},
    },
}
