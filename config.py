"""Settings. They come from the environment, under LIUKE_ beside DATABASE_URL, REDIS_URL and SECRET_KEY."""

from __future__ import annotations

import os
import secrets
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from limits import parse_many

ROOT = Path(__file__).resolve().parent
YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def flag(name: str, default: bool) -> bool:
    """A yes/no setting."""
    value = os.environ.get(name, "").strip().lower()
    if value not in ("", *YES, *NO):
        raise SystemExit(f"{name} must be one of {', '.join((*YES, *NO))}, not {os.environ[name]!r}.")
    return value in YES if value else default


def number(name: str, default: int, least: int = 1) -> int:
    """A setting that is a whole number."""
    value = os.environ.get(name, "")
    try:
        found = int(value) if value else default
    except ValueError:
        raise SystemExit(f"{name} must be a whole number, not {value!r}.") from None
    if found < least:
        raise SystemExit(f"{name} must be {least} or more, not {value!r}.")
    return found


def one_of(name: str, default: str, *others: str) -> str:
    """A setting that has few values: its default, where it is not set, or one of the others."""
    value = os.environ.get(name, "").strip() or default
    if value not in (default, *others):
        raise SystemExit(f"{name} must be {' or '.join((default, *others))}, not {value!r}.")
    return value


def time_zone(name: str, default: str) -> str:
    """A time zone of the tz database."""
    value = os.environ.get(name, "").strip() or default
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SystemExit(f"{name} must be a time zone, {default} say, not {value!r}.") from None
    return value


def limit(name: str, default: str) -> str:
    """How often something may be tried; several limits stand with a semicolon between them."""
    value = os.environ.get(name, "").strip() or default
    try:
        parse_many(value)
    except ValueError:
        raise SystemExit(f"{name} reads like {default} (second, minute, hour or day), not {value!r}.") from None
    return value


def database_url(url: str) -> str:
    """The given URL with our PostgreSQL driver named (a bare postgresql:// would mean another one)."""
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return "postgresql+psycopg2://" + url.removeprefix(prefix)
    return url


def secret_key(var: Path) -> str:
    """The key cookies are signed with: SECRET_KEY, else one made at first start and kept in var/, mode 600."""
    given = os.environ.get("SECRET_KEY")
    if given:
        return given
    path = var / "secret_key"
    if not path.exists():
        var.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass  # another process was faster
        else:
            with os.fdopen(handle, "w") as out:
                out.write(secrets.token_urlsafe(48))
    return path.read_text().strip()


def day_of_month(name: str, default: int) -> int:
    """A day that every month has, and one after it."""
    day = number(name, default)
    if not 1 <= day <= 27:
        raise SystemExit(f"{name} must be a day from 1 to 27, not {day}.")
    return day


def months_by_level(text: str) -> dict[str, int]:
    """LIUKE_CHURN_MONTHS_BY_LEVEL: "3=9,5=12" gives level 3 nine months and level 5 twelve."""
    pairs = [part.split("=", 1) for part in text.split(",") if part.strip()]
    try:
        found = {level.strip(): int(months) for level, months in pairs}
    except ValueError:
        found = {"": 0}
    if any(months < 1 for months in found.values()):
        raise SystemExit("LIUKE_CHURN_MONTHS_BY_LEVEL reads like 3=9,5=12 (level=months).")
    return found


def mail_url(url: str) -> str:
    """LIUKE_MAIL_URL: smtp://user:password@host:587 (with STARTTLS where offered) or smtps://user:password@host:465."""
    if url and not url.startswith(("smtp://", "smtps://")):
        raise SystemExit("LIUKE_MAIL_URL reads like smtp://user:password@host:587 or smtps://user:password@host:465.")
    return url


def mail_base(url: str, hosts: list[str]) -> str:
    """LIUKE_URL; unset, the first of LIUKE_HOSTS over https, so that no server mails links to 127.0.0.1."""
    url = url.strip().rstrip("/")
    if url and not url.startswith(("https://", "http://")):
        raise SystemExit(f"LIUKE_URL reads like https://crm.example.com, not {url!r}.")
    return url or (f"https://{hosts[0].removeprefix('.')}" if hosts else "")


def status_codes(text: str) -> dict[str, str]:
    """LIUKE_SYNC_STATUS: "10=new,80=shipped" says what the sales system's own status codes mean here."""
    ours = {"new", "confirmed", "shipped", "cancelled"}
    pairs = [part.rpartition("=") for part in text.split(",") if part.strip()]
    if any(not code.strip() or meaning.strip() not in ours for code, _sign, meaning in pairs):
        raise SystemExit(f"LIUKE_SYNC_STATUS reads like 10=new,80=shipped (code={'|'.join(sorted(ours))}).")
    return {code.strip(): meaning.strip() for code, _sign, meaning in pairs}


def work_hours(text: str) -> tuple[tuple[int, int], ...]:
    """LIUKE_WORK_HOURS: "09:00-18:00", or with a break "09:00-12:00,13:00-18:00"; in minutes from midnight."""
    try:
        spans = tuple(tuple(map(_minutes, span.split("-"))) for span in text.split(","))
        walls = [minute for begin, end in spans for minute in (begin, end)]
    except ValueError:
        walls = []
    if not walls or any(late <= early for early, late in pairwise(walls)):
        raise SystemExit("LIUKE_WORK_HOURS reads like 09:00-18:00 or 09:00-12:00,13:00-18:00.")
    return tuple(zip(walls[::2], walls[1::2], strict=True))


def _minutes(wall: str) -> int:
    hours, minutes = wall.strip().split(":")
    if not (0 <= int(minutes) < 60 and 0 <= int(hours) * 60 + int(minutes) <= 24 * 60):
        raise ValueError(wall)
    return int(hours) * 60 + int(minutes)


class Config:
    """Everything an installation can set, with its default."""

    # What can be read: the name of the language, what its button says (short where there is little room) and its code
    # in pages, if that is another one. The sentences stand in translations/, those of English in the source.
    LANGUAGES = {
        "zh": {"name": "中文", "switch": "切换到中文", "short": "中", "html": "zh-CN", "flag": "cn"},
        "en": {"name": "English", "switch": "Switch to English", "short": "EN", "flag": "gb"},
    }

    LIUKE_VAR = Path(os.environ.get("LIUKE_VAR", ROOT / "var")).resolve()
    LIUKE_HOST = os.environ.get("LIUKE_HOST", "127.0.0.1")
    LIUKE_PORT = number("LIUKE_PORT", 5000)
    LIUKE_DEMO = flag("LIUKE_DEMO", True)  # load the demo company into an empty database at first start
    LIUKE_TIMEZONE = time_zone("LIUKE_TIMEZONE", "Asia/Shanghai")
    LIUKE_LANGUAGE = one_of("LIUKE_LANGUAGE", *LANGUAGES)
    LIUKE_CHURN_MONTHS = number("LIUKE_CHURN_MONTHS", 6)  # calendar months without an order
    LIUKE_CHURN_MONTHS_BY_LEVEL = months_by_level(os.environ.get("LIUKE_CHURN_MONTHS_BY_LEVEL", ""))
    LIUKE_MIRROR_STALE_DAYS = number("LIUKE_MIRROR_STALE_DAYS", 8)
    LIUKE_CLOSE_DAY = day_of_month("LIUKE_CLOSE_DAY", 3)  # of the next month; at 05:00 a month is closed
    LIUKE_CAMPAIGN_DAYS = number("LIUKE_CAMPAIGN_DAYS", 90)  # orders count as following an activity
    LIUKE_SYNC_STATUS = status_codes(os.environ.get("LIUKE_SYNC_STATUS", ""))  # beside the codes it knows
    LIUKE_WORK_HOURS = work_hours(os.environ.get("LIUKE_WORK_HOURS") or "09:00-18:00")  # of a working day
    LIUKE_ESCALATE_HOURS = number("LIUKE_ESCALATE_HOURS", 4, least=0)  # working hours from a reminder to the leads
    LIUKE_CUSTOMERS_SHARED = one_of("LIUKE_CUSTOMERS_SHARED", "all", "team", "own")
    LIUKE_SECOND_LOGIN = one_of("LIUKE_SECOND_LOGIN", "replace", "refuse")
    LIUKE_IDLE_MINUTES = number("LIUKE_IDLE_MINUTES", 30)
    LIUKE_SESSION_HOURS = number("LIUKE_SESSION_HOURS", 12)
    # accounts, rights, teams and handovers ask for a password typed longer ago than this again
    LIUKE_REAUTH_MINUTES = number("LIUKE_REAUTH_MINUTES", 15)
    LIUKE_REMEMBER_IDLE_DAYS = number("LIUKE_REMEMBER_IDLE_DAYS", 7)
    LIUKE_REMEMBER_DAYS = number("LIUKE_REMEMBER_DAYS", 14)
    LIUKE_LOG = one_of("LIUKE_LOG", "text", "json")  # json: one object per line, with every request
    LIUKE_PROXIES = number("LIUKE_PROXIES", 0, least=0)  # reverse proxies in front of the web process
    LIUKE_HTTPS = flag("LIUKE_HTTPS", False)  # cookies only over https
    LIUKE_HOSTS = [h.strip() for h in os.environ.get("LIUKE_HOSTS", "").split(",") if h.strip()]
    LIUKE_LOGIN_LIMIT = limit("LIUKE_LOGIN_LIMIT", "10 per 5 minutes")  # bad logins, per address and account
    LIUKE_LOGIN_LIMIT_PER_ADDRESS = limit("LIUKE_LOGIN_LIMIT_PER_ADDRESS", "100 per 5 minutes")
    LIUKE_CODE_LIMIT = limit("LIUKE_CODE_LIMIT", "50 per day")  # wrong codes of the second step, per account
    LIUKE_LINK_LIMIT = limit("LIUKE_LINK_LIMIT", "5 per hour")  # links asked for, per address and account
    LIUKE_LINK_MINUTES = number("LIUKE_LINK_MINUTES", 30)  # how long a mailed link for a new password is good
    LIUKE_URL = mail_base(os.environ.get("LIUKE_URL", ""), LIUKE_HOSTS)  # https://crm.example.com, for links in mails
    LIUKE_MAIL_URL = mail_url(os.environ.get("LIUKE_MAIL_URL", ""))  # none: mails are written into var/outbox
    LIUKE_MAIL_FROM = os.environ.get("LIUKE_MAIL_FROM", "Liuke <liuke@localhost>")
    # hosts that robots may live on beside WeCom's, DingTalk's and Feishu's own
    LIUKE_ROBOT_HOSTS = [h.strip().lower() for h in os.environ.get("LIUKE_ROBOT_HOSTS", "").split(",") if h.strip()]
    LIUKE_WEB_WORKERS = number("LIUKE_WEB_WORKERS", 2)
    LIUKE_UPLOADS = Path(os.environ.get("LIUKE_UPLOADS") or LIUKE_VAR / "uploads").resolve()  # attached files
    LIUKE_BACKUPS = Path(os.environ.get("LIUKE_BACKUPS") or LIUKE_VAR / "backups").resolve()
    LIUKE_BACKUPS_KEPT = number("LIUKE_BACKUPS_KEPT", 14)  # the newest, one of every night
    LIUKE_PG_BIN = os.environ.get("LIUKE_PG_BIN", "")  # folder of pg_dump; none: what is found
    LIUKE_PURGE_AFTER_DAYS = number("LIUKE_PURGE_AFTER_DAYS", 30, least=0)  # in the recycle bin before it may be purged
    LIUKE_UPLOAD_MB = number("LIUKE_UPLOAD_MB", 10)  # the files of one upload together

    SECRET_KEY = secret_key(LIUKE_VAR)
    SQLALCHEMY_DATABASE_URI = database_url(os.environ.get("DATABASE_URL") or f"sqlite:///{LIUKE_VAR / 'liuke.db'}")
    REDIS_URL = os.environ.get("REDIS_URL") or f"unix://{LIUKE_VAR / 'redis.sock'}?db=0"

    APP_NAME = "留客 Liuke"
    BABEL_DEFAULT_LOCALE = LIUKE_LANGUAGE
    BABEL_DEFAULT_TIMEZONE = LIUKE_TIMEZONE
    BABEL_TRANSLATION_DIRECTORIES = str(ROOT / "translations")

    FAB_SECURITY_MANAGER_CLASS = "app.security.manager.CrmSecurityManager"
    FAB_INDEX_VIEW = "app.desk.views.HomeView"
    FAB_CREATE_DB = False  # the application never runs DDL: `flask db upgrade` does
    FAB_UPDATE_PERMS = False  # `flask crm init` does
    FAB_ADD_SECURITY_API = False
    FAB_ADD_MENU_API = False
    FAB_ADD_OPENAPI_VIEWS = False
    FAB_API_SWAGGER_UI = False
    FAB_ADD_SECURITY_PERMISSION_VIEW = False
    FAB_ADD_SECURITY_VIEW_MENU_VIEW = False
    FAB_ADD_SECURITY_PERMISSION_VIEWS_VIEW = False
    AUTH_ROLE_ADMIN = "super_admin"
    AUTH_ROLE_PUBLIC = "public"
    AUTH_USER_REGISTRATION = False
    # scrypt N=2^15 r=8 p=3: OWASP's strength; the fake hash costs the same, so that names cannot be timed
    FAB_PASSWORD_HASH_METHOD = os.environ.get("LIUKE_PASSWORD_HASH", "scrypt:32768:8:3")
    RATELIMIT_ENABLED = True
    AUTH_RATE_LIMITED = False  # our own login view carries the limit
    RATELIMIT_STORAGE_URI = os.environ.get("LIUKE_LIMITER_URI")  # none: REDIS_URL, and memory while Redis is away
    RATELIMIT_SWALLOW_ERRORS = True
    RATELIMIT_HEADERS_ENABLED = False

    SESSION_COOKIE_NAME = "__Host-liuke" if LIUKE_HTTPS else "liuke"
    SESSION_COOKIE_HTTPONLY = True
    SESSION_COOKIE_SAMESITE = "Lax"
    SESSION_COOKIE_SECURE = LIUKE_HTTPS
    PERMANENT_SESSION_LIFETIME = timedelta(days=LIUKE_REMEMBER_DAYS)
    WTF_CSRF_TIME_LIMIT = None  # as long as the session lives
    MAX_CONTENT_LENGTH = 2 * 2**20  # of a form; an address that takes files takes more
    MAX_FORM_MEMORY_SIZE = 2 * 2**20
    SEND_FILE_MAX_AGE_DEFAULT = timedelta(days=365)  # URLs carry a content hash
    TRUSTED_HOSTS = LIUKE_HOSTS or None
    FAB_SAFE_REDIRECT_HOSTS = LIUKE_HOSTS

    # What a statement was given may be a name, a number or a password: it stands in no error and in no log.
    SQLALCHEMY_ENGINE_OPTIONS = (
        {
            "hide_parameters": True,
            "pool_pre_ping": True,
            "pool_size": 5,
            "max_overflow": 5,
            "connect_args": {
                "connect_timeout": 5,  # seconds: a page says that the database is away instead of hanging
                # A page's statements are short: compiling them or starting workers for them takes longer than they do.
                # Who waits for a row waits as long as on SQLite: a scan and a sync that meet may take seconds.
                "options": "-c lock_timeout=15000 -c idle_in_transaction_session_timeout=60000 -c timezone=UTC"
                " -c jit=off -c max_parallel_workers_per_gather=0"
                # What core.database prepares is planned once per connection, whoever asks.
                " -c plan_cache_mode=force_generic_plan",
            },
        }
        if SQLALCHEMY_DATABASE_URI.startswith("postgresql")
        else {"hide_parameters": True, "connect_args": {"timeout": 15}}
    )
