//! Every code with its meaning, in one place, so that documents can be checked against it.

/// Defines the constants and the table from one list, so that neither can miss a code.
macro_rules! codes {
    ($($name:ident = $code:literal: $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: &str = $code;)*
        /// All codes with what each says, in one sentence.
        pub const CODES: &[(&str, &str)] = &[$(($code, $meaning)),*];
    };
}

codes! {
    FILE_UNREADABLE = "file-unreadable": "A file or folder could not be read.";
    FILE_TOO_LARGE = "file-too-large": "A file is larger than 1 MiB.";
    NOT_UTF8 = "not-utf8": "A file is not UTF-8 text.";
    YAML_SYNTAX = "yaml-syntax": "The text is not YAML, from this place on.";
    YAML_DOCUMENTS = "yaml-documents": "A file holds more than one YAML document.";
    YAML_TAG = "yaml-tag": "A YAML tag was used; the language has none.";
    YAML_ANCHOR = "yaml-anchor": "A YAML anchor or alias was used; the language has none.";
    YAML_AMBIGUOUS = "yaml-ambiguous": "An unquoted value is read differently by different YAML versions.";
    TOO_DEEP = "too-deep": "Lists and mappings are nested deeper than 64 levels.";
    DUPLICATE_KEY = "duplicate-key": "A key occurs twice in one mapping.";
    UNKNOWN_KEY = "unknown-key": "A key is not part of the language at this place.";
    MISSING_KEY = "missing-key": "A required key is not there.";
    EMPTY = "empty": "A value, list or mapping is empty where that would mean nothing, or everything.";
    WRONG_TYPE = "wrong-type": "A value is of another kind than it must be.";
    INVALID_VALUE = "invalid-value": "A value is not one of those that are possible here.";
    INVALID_DURATION = "invalid-duration": "A duration is not of the form 500ms, 30s, 5m, 1h or 7d, or is zero.";
    TOO_MANY = "too-many": "There are more of something than the limit allows.";
    DUPLICATE_NAME = "duplicate-name": "Two things that must be told apart have one name.";
    RULE_ID = "rule-id": "A rule's id is not of the form [a-z0-9][a-z0-9-]{0,63}.";
    DUPLICATE_RULE = "duplicate-rule": "Two rules of the set have one id.";
    QUOTE_LABEL = "quote-label": "Labels are text, and so an unquoted number or bool would never match.";
    SAME_RULE = "same-rule": "Two rules are the same but for their ids, so both would act on the same events.";
    UNKNOWN_EVENT_TYPE = "unknown-event-type": "An event type is not among the documented ones.";
    NEGATIVE_WITHOUT_EXISTS = "negative-without-exists":
        "A negative matcher does not hold where the field is absent, and nothing says which is meant.";
    NEVER_MATCHES = "never-matches": "The clauses of a rule exclude each other, so that it can never match.";
    UNKNOWN_LABEL = "unknown-label": "No push in the journal has a label of this name, but of one like it.";
    UNKNOWN_CHANNEL = "unknown-channel": "No push in the journal comes from a channel of this name, but of one like it.";
    INVALID_REGEX = "invalid-regex": "A regex does not compile, or is too large.";
    INVALID_GLOB = "invalid-glob": "A glob does not compile.";
    UNKNOWN_SOURCE = "unknown-source": "No source of the config has this name.";
    UNKNOWN_SCHEDULE = "unknown-schedule": "No schedule of the config has this name.";
    INVALID_SCRIPT = "invalid-script": "Rhai code does not compile.";
    CONSTANT_CONDITION = "constant-condition": "A condition gives the same for every event.";
    UNKNOWN_PATH = "unknown-path": "A script or template reads something that is not documented to be there.";
    FOLDED_SCRIPT = "folded-script": "Code stands in a folded block, where places would be lost.";
    INVALID_TEMPLATE = "invalid-template": "A template cannot be understood.";
    TEMPLATE_IN_SHELL = "template-in-shell": "A template stands in shell text.";
    TEMPLATE_AS_CODE = "template-as-code": "An interpreter would read the value of a template as code.";
    TEMPLATE_AS_OPTION = "template-as-option": "The value of a template could be taken for an option.";
    TEMPLATE_NOT_LITERAL = "template-not-literal": "A template stands where the text must be literal.";
    DEDUPE_KEY = "dedupe-key": "A slot that lasts as long as its incident is not keyed by an incident or alert.";
    COUNTS_WITHOUT_TARGET = "counts-without-target": "A guard counts by target in a rule that names no target.";
    STEP_KIND = "step-kind": "A step does not have exactly one action.";
    FLASHDUTY_MISSING = "flashduty-missing":
        "A rule needs the Open API of Flashduty, and the config has no `flashduty` section.";
    UNKNOWN_STEP = "unknown-step": "A condition or template names a step that has not run where it is read, or a result that no step has.";
    PROGRAM_MISSING = "program-missing": "A program or script of the rules does not exist.";
    PROGRAM_NOT_HERE = "program-not-here": "A program of the system is not installed on this machine.";
    PROGRAM_UNSAFE = "program-unsafe": "A program or script is not executable, or others could change it.";
    ENV_NAME = "env-name": "A name cannot be, or must not be, declared as an environment variable.";
    HTTP_URL = "http-url": "A URL is not a plain http or https one with a literal host.";
    HTTP_NOT_ALLOWED = "http-not-allowed": "A host is not on the config's `http.allow` list.";
    HTTP_HEADER = "http-header": "A header's name is not valid, or is the engine's own to set.";
    INLINE_SECRET = "inline-secret":
        "A secret is written out in a rule: a header, parameter, variable or option for one, a password in a URL, or a secret of the config.";
    FIXTURE_MISSING = "fixture-missing": "The file with a test's event does not exist.";
    TEST_UNKNOWN_RULE = "test-unknown-rule": "A test expects something of a rule that does not exist.";
    RULES_FOLDER = "rules-folder": "The folder of the rules does not exist.";
    NO_RULES = "no-rules": "No rule was found.";
    SYMLINK_SKIPPED = "symlink-skipped": "A symbolic link that leads out of the folder was not followed.";
    NETWORK = "network": "An address or network is not valid, or has host bits set.";
    DENIES_ALL = "denies-all": "A source admits no address at all.";
    BUILD_LACKS = "build-lacks": "The config asks for something that this build of the program does not have.";
    SECRET = "secret": "A secret is written out, or names no place where it is kept.";
    SECRET_UNUSABLE = "secret-unusable": "A secret cannot be read where the config says, or is too short.";
    TLS_UNUSABLE = "tls-unusable": "The certificate or the key of the listener cannot be used.";
    AUTH_MISSING = "auth-missing": "A source says neither how a push proves itself nor that it need not.";
    AUTH_NONE_PUBLIC = "auth-none-public": "A source without authentication would be reachable from elsewhere.";
    ADMIN_TOKEN = "admin-token": "The admin listener on TCP has no token.";
}
