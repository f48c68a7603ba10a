"""Django's settings. Every one that can be changed is in default.env and docs/settings.md."""

import os

from backend import databases, env
from wire import logs, sockets
from wire.environment import ROOT

# --- The service
ENVIRONMENT = env.text("ENVIRONMENT", choices=("development", "production"))
SECRET_KEY = env.text("DJANGO_SECRET_KEY")
SECRET_KEY_FALLBACKS = env.words("DJANGO_SECRET_KEY_FALLBACKS")
DEBUG = env.flag("DJANGO_DEBUG")
ALLOWED_HOSTS = env.words("DJANGO_ALLOWED_HOSTS")
if ALLOWED_HOSTS:
    ALLOWED_HOSTS.append(env.service("SERVICE_URL").host)
SERVICE_URL = env.service("SERVICE_URL").url
FACES_BASE_PATH = env.service("FACES_BASE_PATH").base_path
FACES_HSTS_SECONDS = env.number("FACES_HSTS_SECONDS")
LOG_LEVEL = env.text("FACES_LOG_LEVEL", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
LOG_FORMAT = env.text("FACES_LOG_FORMAT", choices=logs.FORMATS)
FACES_SENTRY_DSN = env.text("FACES_SENTRY_DSN")

# --- Where things are kept
STORAGE_DIR = env.folder("STORAGE_DIR", default=ROOT)
DATABASE_URL = env.postgresql("DATABASE_URL")
CACHE_BACKEND_URL = env.redis_url(
    "CACHE_BACKEND_URL",
    default=sockets.redis_url(STORAGE_DIR),
)
FACES_CACHE_URL = env.redis_url("FACES_CACHE_URL", default=CACHE_BACKEND_URL)

# --- Media on S3
FACES_S3_BUCKET = env.text("FACES_S3_BUCKET")
AWS_DEFAULT_REGION = env.text("AWS_DEFAULT_REGION")
AWS_ENDPOINT_URL_S3 = env.text("AWS_ENDPOINT_URL_S3")
FACES_S3_PREFIX = env.text("FACES_S3_PREFIX")
AWS_ACCESS_KEY_ID = env.text("AWS_ACCESS_KEY_ID")
AWS_SECRET_ACCESS_KEY = env.text("AWS_SECRET_ACCESS_KEY")

# --- Uploads
FACES_MAX_UPLOAD_BYTES = env.number("FACES_MAX_UPLOAD_BYTES", at_least=1)
# Beyond, no format could be decoded within the bounds of a decoder.
FACES_MAX_IMAGE_PIXELS = env.number("FACES_MAX_IMAGE_PIXELS", at_least=1, at_most=1_000_000_000)

# --- Downloads
FACES_DOWNLOAD_ALLOWED_HOSTS = env.hosts("FACES_DOWNLOAD_ALLOWED_HOSTS")
FACES_DOWNLOAD_MAX_BYTES = env.number("FACES_DOWNLOAD_MAX_BYTES", at_least=1)
FACES_DOWNLOAD_TIMEOUT_S = env.real("FACES_DOWNLOAD_TIMEOUT_S")

# --- Clients
FACES_REQUIRE_API_KEY = env.flag("FACES_REQUIRE_API_KEY")
FACES_ALLOWED_ORIGINS = env.origins("FACES_ALLOWED_ORIGINS")
FACES_REQUEST_RATE = env.rate("FACES_REQUEST_RATE")
FACES_UPLOAD_RATE = env.rate("FACES_UPLOAD_RATE")
FACES_UPLOAD_BYTES_RATE = env.rate("FACES_UPLOAD_BYTES_RATE")
FACES_LOGIN_RATE = env.rate("FACES_LOGIN_RATE")
FACES_ADMIN_NETWORKS = env.networks("FACES_ADMIN_NETWORKS")
FACES_MAX_PENDING = env.number("FACES_MAX_PENDING", at_least=1)
FACES_MAX_BACKLOG = env.number("FACES_MAX_BACKLOG", at_least=1)

# --- Accounts of members and staff
FACES_STAFF_SECOND_FACTOR = env.flag("FACES_STAFF_SECOND_FACTOR")
FACES_EMAIL_URL = env.text("FACES_EMAIL_URL")
FACES_EMAIL_FROM = env.text("FACES_EMAIL_FROM")
FACES_OIDC_ISSUER = env.text("FACES_OIDC_ISSUER")
FACES_OIDC_CLIENT_ID = env.text("FACES_OIDC_CLIENT_ID")
FACES_OIDC_CLIENT_SECRET = env.text("FACES_OIDC_CLIENT_SECRET")
FACES_OIDC_NAME = env.text("FACES_OIDC_NAME")
FACES_OIDC_SIGN_UP = env.flag("FACES_OIDC_SIGN_UP")

# --- Finding faces
FACES_DETECTOR = env.text("FACES_DETECTOR", choices=("auto", "hog", "cnn", "yunet"))
FACES_YUNET_MODEL = env.text("FACES_YUNET_MODEL")
FACES_ENCODER = env.text("FACES_ENCODER")
FACES_MAX_DETECTION_PIXELS = env.number("FACES_MAX_DETECTION_PIXELS", at_least=10_000)
FACES_MODEL_CACHE = env.text("FACES_MODEL_CACHE")
FACES_PROVIDERS = env.words("FACES_PROVIDERS", choices=("cpu", "cuda", "openvino"))
FACES_ENGINE_THREADS = env.number("FACES_ENGINE_THREADS", at_least=1)

# --- Face encodings
FACES_SYNC_RESPONSE_TIMEOUT_S = env.real("FACES_SYNC_RESPONSE_TIMEOUT_S")
FACES_VERIFY_THRESHOLD = env.real("FACES_VERIFY_THRESHOLD")

# --- Whose face it is
FACES_MIN_CONFIDENCE = env.real("FACES_MIN_CONFIDENCE")
FACES_CONFIDENCE_SLOPE = env.real("FACES_CONFIDENCE_SLOPE")
FACES_CONFIDENCE_MIDPOINT = env.real("FACES_CONFIDENCE_MIDPOINT")
FACES_GALLERY_CACHE_BYTES = env.number("FACES_GALLERY_CACHE_BYTES")
FACES_KEEP_CROPS = env.flag("FACES_KEEP_CROPS")

# --- Photos
FACES_PHOTOS_EXTRACTION = env.text(
    "FACES_PHOTOS_EXTRACTION", choices=("auto", "workers", "lambda", "off")
)
FACES_MAX_ARCHIVE_BYTES = env.number("FACES_MAX_ARCHIVE_BYTES", at_least=1)
FACES_KEEP_ORIGINALS = env.flag("FACES_KEEP_ORIGINALS")

# --- Photos of members
FACES_MATCH_DISTANCE = env.real("FACES_MATCH_DISTANCE")
FACES_GROUP_UNKNOWN = env.flag("FACES_GROUP_UNKNOWN")

# --- AWS Lambda
FACEDETECTION_LAMBDA_ARN = env.text("FACEDETECTION_LAMBDA_ARN")
FACEDETECTION_LAMBDA_BATCH_SIZE = env.number("FACEDETECTION_LAMBDA_BATCH_SIZE", at_least=1)
AWS_ENDPOINT_URL_LAMBDA = env.text("AWS_ENDPOINT_URL_LAMBDA")
FACEDETECTION_API_URL = env.url(
    "FACEDETECTION_API_URL", schemes=("http", "https"), default=SERVICE_URL
)

# --- Workers
FACES_WORKERS = env.number("FACES_WORKERS")
FACES_JOB_TIMEOUT_S = env.number("FACES_JOB_TIMEOUT_S", at_least=1)
FACES_MAX_RETRIES = env.number("FACES_MAX_RETRIES")
FACES_RETRY_DELAY_S = env.real("FACES_RETRY_DELAY_S")
FACES_SWEEP_INTERVAL_S = env.real("FACES_SWEEP_INTERVAL_S")

# --- Events and retention
FACES_EVENT_STREAM_MAXLEN = env.number("FACES_EVENT_STREAM_MAXLEN", at_least=1)
FACES_RETENTION_DAYS = env.number("FACES_RETENTION_DAYS")

# --- Where the processes listen
FACES_PORT = env.number("FACES_PORT", at_least=1)
FACES_TRUSTED_PROXIES = env.text("FACES_TRUSTED_PROXIES")
env.networks("FACES_TRUSTED_PROXIES")  # refused here also, because nginx in Docker starts after us

# --- The web processes
FACES_WEB_THREADS = env.number("FACES_WEB_THREADS", at_least=1)

# --- What follows is not for changing by the environment.
INSTALLED_APPS = [
    "backend.site",  # before the admin, of which it replaces a template
    "backend.clients.admin_site.FacesAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework_api_key",
    "django_rq",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "backend.common",
    "backend.clients",
    "backend.accounts",  # before allauth, whose templates it replaces
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "backend.webhooks",
    "backend.analysis",
    "backend.submissions",
    "backend.face_encodings",
    "backend.recognition",
    "backend.photos",
]

MIDDLEWARE = [
    "backend.common.http.admission.ConcurrencyLimitMiddleware",
    "backend.common.observability.logs.RequestIdMiddleware",
    "backend.clients.limits.throttling.CallerKeyMiddleware",
    "backend.common.http.service_url.ServiceUrlMiddleware",
    "backend.common.metrics.middleware.MetricsMiddleware",
    "backend.common.http.security_headers.StrictTransportMiddleware",
    "backend.clients.limits.admin_networks.AdminNetworksMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "backend.common.http.database_restarts.DatabaseRestartMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "backend.accounts.second_factor.SecondFactorMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "backend.common.http.release.context",
            ]
        },
    }
]

# Of the admin and of the members' pages. Several services on one host would share cookies of the
# usual names.
SESSION_COOKIE_NAME = "faces_session"
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = f"{FACES_BASE_PATH}/"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SERVICE_URL.startswith("https://")
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "faces_csrf"
CSRF_FAILURE_VIEW = "backend.common.http.errors.csrf_failure"
# What ends TLS may be in front of nginx: Django sees http where the browser says https.
# nginx sets it on every request; only a trusted proxy can make it say https.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CSRF_TRUSTED_ORIGINS = [env.service("SERVICE_URL").origin]
# In the browser until they are shown, and nowhere here: a new key is shown as a message.
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
X_FRAME_OPTIONS = "DENY"

# --- Accounts by django-allauth
LOGIN_URL, LOGIN_REDIRECT_URL = "member-login", "you-page"
# The admin's login: a view, called with the request.
ADMIN_LOGIN = "backend.accounts.views.admin_login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]
# Of links to set a password: invitations, and those for a forgotten one.
PASSWORD_RESET_TIMEOUT = 3 * 86_400
ACCOUNT_ADAPTER = "backend.accounts.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Faces] "
ACCOUNT_AUTHENTICATED_LOGIN_REDIRECTS = False  # our views do so, for GET alone
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # else any address could be sent mail
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
ACCOUNT_SESSION_REMEMBER = True  # for SESSION_COOKIE_AGE
# `backend.clients.limits.logins` limits instead: the library's counters count for every browser
# alike, and are lists, which our cache does not take.
ACCOUNT_RATE_LIMITS = MFA_RATE_LIMITS = False
MFA_ADAPTER = "backend.accounts.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "Faces"
MFA_TOTP_TOLERANCE = 1  # a code of the half minute before or after
MFA_ALLOW_UNVERIFIED_EMAIL = True
SOCIALACCOUNT_ADAPTER = "backend.accounts.adapters.OidcAdapter"
# By a link, because a form may not lead elsewhere (form-action of our Content-Security-Policy).
SOCIALACCOUNT_LOGIN_ON_GET = True
# A user who is here already is found by an address that the provider has verified.
SOCIALACCOUNT_EMAIL_AUTHENTICATION = SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "oidc",
                "name": FACES_OIDC_NAME,
                "client_id": FACES_OIDC_CLIENT_ID,
                "secret": FACES_OIDC_CLIENT_SECRET,
                "settings": {"server_url": FACES_OIDC_ISSUER},
            }
        ]
        if FACES_OIDC_ISSUER
        else [],
    }
}

# --- E-mail
globals().update(env.email("FACES_EMAIL_URL"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = FACES_EMAIL_FROM

# nginx strips the path that a proxy puts before ours; `reverse` adds it again.
FORCE_SCRIPT_NAME = FACES_BASE_PATH or None
# Whether SERVICE_URL is empty: then links have the scheme and host of the request.
LINKS_FOLLOW_REQUEST = not env.text("SERVICE_URL")

ROOT_URLCONF = "backend.urls"
WSGI_APPLICATION = "backend.wsgi.application"
# Paths answer with and without the slash: redirected, a POST would lose its body.
APPEND_SLASH = False

DATABASES = {
    "default": databases.configuration(DATABASE_URL, sqlite=STORAGE_DIR / "db.sqlite3"),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "backend.common.redis_clients.MarkingCache",
        "LOCATION": FACES_CACHE_URL,
        "KEY_PREFIX": "faces",
        # A Redis that does not answer must not hold a request: what is cached is only a help.
        "OPTIONS": {
            "socket_timeout": 0.5,
            "socket_connect_timeout": 0.5,
            "serializer": "backend.common.redis_clients.NumbersOnly",
        },
    }
}

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False

_DISK = "django.core.files.storage.FileSystemStorage"
STORAGES = {
    "default": {"BACKEND": "backend.common.storage.s3.PrivateBucket" if FACES_S3_BUCKET else _DISK},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
MEDIA_ROOT = STORAGE_DIR / "media"
MEDIA_URL = "/static/"
STATIC_ROOT = STORAGE_DIR / "staticfiles"
STATICFILES_DIRS = [ROOT / "static"]
# Not below /static/, where the contract has the results.
STATIC_URL = f"{FACES_BASE_PATH}/assets/"
# Most photos are smaller and need no temporary file; nginx has the whole body before we see it.
FILE_UPLOAD_MAX_MEMORY_SIZE = 8 << 20
# Beside the media, so that an archive is stored by renaming it, and not in a /tmp that is memory.
_UPLOADS = STORAGE_DIR / "run" / "uploads"
# Made by tools/migrate.py. Not `Path.is_dir`, which raises in a folder of another user.
FILE_UPLOAD_TEMP_DIR = str(_UPLOADS) if os.path.isdir(_UPLOADS) else None
FILE_UPLOAD_PERMISSIONS = 0o640
# What is no file is held in memory: JSON with a hundred faces in base64.
DATA_UPLOAD_MAX_MEMORY_SIZE = 32 << 20
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o750

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["backend.clients.auth.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["backend.clients.auth.authentication.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["backend.clients.limits.throttling.RequestRate"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["backend.common.http.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "backend.common.http.errors.handle",
    "DEFAULT_SCHEMA_CLASS": "backend.common.openapi.ApiSchema",
    "UNAUTHENTICATED_USER": None,
    "SCHEMA_COERCE_PATH_PK": False,
}

# Dotted names: what every worker process loads before it forks, what one calls that has nothing
# to do any more, and what the sweep calls in turn.
WORKER_WARM_UP = "backend.analysis.services.load_engine"
WORKER_REST = "backend.analysis.services.release_memory"
# What `/readiness` names as the detector of uploads.
DETECTOR_IN_USE = "backend.analysis.services.default_detector"
# What holds data of a client, each a function `(owner_id, *, at_most) -> how many were erased`.
ERASERS = [
    "backend.submissions.services.erase_of",
    "backend.face_encodings.services.erase_of",
    "backend.recognition.operations.retention.erase_of",
    "backend.webhooks.services.erase_of",
]
# `(owner_id, id)` returns a client's submitted image (`backend.common.submitted_images`).
SUBMITTED_IMAGES = "backend.submissions.services"
# What is to know that a client hid a face of its image: `(owner_id, sha256, encoding)`.
ON_FACE_HIDDEN = ["backend.recognition.withdrawal.face_hidden"]
SWEEPS = [
    "backend.analysis.services.sweep",
    "backend.submissions.tasks.sweep",
    "backend.face_encodings.tasks.sweep",
    "backend.recognition.tasks.sweep",
    "backend.photos.tasks.sweep",
    "backend.photos.clustering.grouping.sweep",
    "backend.webhooks.tasks.sweep",
    "backend.clients.tasks.sweep",
]

# For the pages of django-rq in the admin alone; a Redis that hangs must not hold them.
RQ_QUEUES = {
    name: {
        "URL": CACHE_BACKEND_URL + ("&" if "?" in CACHE_BACKEND_URL else "?") + "socket_timeout=2",
        "SERIALIZER": "rq.serializers.JSONSerializer",
    }
    for name in ("interactive", "uploads")
}
# Ours are registered instead of its own (`backend.clients.admin.queues`).
RQ_SHOW_ADMIN_LINK = False

# Dotted names: each gives numbers of the moment to GET /metrics.
METRICS_SOURCES = [
    "backend.common.metrics.release.collect",
    "backend.common.jobs.gauges.of_rows",
    "backend.common.jobs.gauges.of_redis",
    "backend.clients.metrics.collect",
]

# What the dashboard tells of and tries again: the model's name, and what tries a failed row of it
# again, a function `(row) -> whether it does`. Its table needs an index of `processed_at`, and one
# of what failed.
RETRIES = {
    "submission": "backend.submissions.services.retry",
    "webhook": "backend.webhooks.services.retry",
}
# Of these the dashboard counts how many ended in each minute.
THROUGHPUT_OF = ["submission"]

# What the events of webhooks carry, each a function `(subject, id, *, owner_id, user_id)` that
# returns it as JSON has it, or None where there is nothing to send, or not any more.
WEBHOOK_EVENTS = {
    "submission.ended": "backend.submissions.services.webhook_data",
    "person.recognised": "backend.recognition.notifications.webhook_data",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Faces",
    "VERSION": "1",
    "DESCRIPTION": (
        "Finds and recognises faces. Paths answer with and without their last slash. Errors are "
        'JSON: `{"field": ["…"]}` for a field, `{"detail": "…"}` otherwise. Every answer names '
        "its request in `X-Request-ID`. Events come over a websocket: `/api/asyncapi.json`."
    ),
    "OAS_VERSION": "3.1.1",
    "SERVERS": [{"url": FACES_BASE_PATH or "/" if LINKS_FOLLOW_REQUEST else SERVICE_URL}],
    "DEFAULT_GENERATOR_CLASS": "backend.site.api_docs.openapi.Generator",
    "POSTPROCESSING_HOOKS": [],
    "SORT_OPERATION_PARAMETERS": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    # Files: bytes in a body, an address in an answer.
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_AUTHENTICATION": [],
}

# Brings its own Redis and folders, so that `manage.py test` touches nothing that is in use.
TEST_RUNNER = "tests.support.runner.Runner"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"context": {"()": "backend.common.observability.logs.ContextFilter"}},
    "formatters": {"line": {"()": "wire.logs.formatter", "kind": LOG_FORMAT}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["context"],
        },
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "backend": {"level": LOG_LEVEL},
        "faceengine": {"level": LOG_LEVEL},
        "safe_http": {"level": LOG_LEVEL},
        "rq": {"level": "WARNING"},
        # The access log of nginx tells what was asked; a 4xx is the caller's business.
        "django.request": {"level": "ERROR"},
        # So is a wrong Host or a form of a thousand fields, each logged with its traceback.
        "django.security": {"level": "CRITICAL"},
    },
}
