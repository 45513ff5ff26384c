//! What interpreters and wrappers are, and which of their options matter.

/// How an interpreter is told what to run.
pub(super) struct Interpreter {
    pub(super) names: &'static [&'static str],
    /// One-letter options whose value is code, also in a cluster such as `-ec`.
    pub(super) code_letters: &'static str,
    /// Long options whose value is code.
    pub(super) code_options: &'static [&'static str],
    /// One-letter options that take the next argument as their value, which is no code.
    pub(super) valued: &'static str,
    /// What its first operand is.
    pub(super) operand: Operand,
}

/// What the operands of an interpreter are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operand {
    /// A script's path.
    Script,
    /// Code, unless an option gave it.
    Code,
    /// Every operand is, or may be, code.
    AllCode,
    /// Data.
    Data,
}

pub(super) const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        names: &["sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "csh", "tcsh"],
        code_letters: "c",
        code_options: &["--command", "--init-command", "--rcfile", "--init-file"],
        valued: "oO",
        operand: Operand::Script,
    },
    Interpreter {
        names: &["python", "pypy"],
        code_letters: "cm",
        code_options: &[],
        valued: "WX",
        operand: Operand::Script,
    },
    Interpreter { names: &["perl"], code_letters: "eEMm", code_options: &[], valued: "I", operand: Operand::Script },
    Interpreter { names: &["ruby"], code_letters: "er", code_options: &[], valued: "IC", operand: Operand::Script },
    Interpreter {
        names: &["node", "nodejs", "deno", "bun"],
        code_letters: "epr",
        code_options: &["--eval", "--print", "--require", "--import"],
        valued: "C",
        operand: Operand::Script,
    },
    Interpreter {
        names: &["php"],
        code_letters: "rBRE",
        code_options: &["--run"],
        valued: "dcS",
        operand: Operand::Script,
    },
    Interpreter {
        names: &["lua", "Rscript"],
        code_letters: "e",
        code_options: &[],
        valued: "",
        operand: Operand::Script,
    },
    Interpreter {
        names: &["awk", "gawk", "mawk", "nawk"],
        code_letters: "fe",
        code_options: &["--file", "--source"],
        valued: "Fv",
        operand: Operand::Code,
    },
    Interpreter {
        names: &["sed", "gsed"],
        code_letters: "ef",
        code_options: &["--expression", "--file"],
        valued: "l",
        operand: Operand::Code,
    },
    Interpreter {
        names: &["jq", "yq"],
        code_letters: "f",
        code_options: &["--from-file"],
        valued: "L",
        operand: Operand::Code,
    },
    Interpreter {
        names: &["psql"],
        code_letters: "c",
        code_options: &["--command"],
        valued: "hpUdvPFRoL",
        operand: Operand::Data,
    },
    Interpreter {
        names: &["mysql", "mariadb"],
        code_letters: "e",
        code_options: &["--execute"],
        valued: "hPuDS",
        operand: Operand::Data,
    },
    Interpreter {
        names: &["su", "runuser"],
        code_letters: "c",
        code_options: &["--command"],
        valued: "sgGw",
        operand: Operand::Data,
    },
    // The far shell, or one started by these, reads all of it.
    Interpreter {
        names: &["ssh", "npx", "bunx", "uvx", "pipx", "watch", "parallel", "eval", "at", "batch", "script"],
        code_letters: "",
        code_options: &[],
        valued: "",
        operand: Operand::AllCode,
    },
];

/// A program that runs the command that follows its own options.
pub(super) struct Wrapper {
    pub(super) name: &'static str,
    /// One-letter options that take the next argument as their value.
    pub(super) valued: &'static str,
    /// Operands before the command.
    pub(super) operands: usize,
}

pub(super) const WRAPPERS: &[Wrapper] = &[
    Wrapper { name: "env", valued: "uC", operands: 0 },
    Wrapper { name: "sudo", valued: "ughpCrtTURD", operands: 0 },
    Wrapper { name: "doas", valued: "uC", operands: 0 },
    Wrapper { name: "nice", valued: "n", operands: 0 },
    Wrapper { name: "ionice", valued: "cnpPu", operands: 0 },
    Wrapper { name: "timeout", valued: "sk", operands: 1 },
    Wrapper { name: "stdbuf", valued: "ioe", operands: 0 },
    Wrapper { name: "nohup", valued: "", operands: 0 },
    Wrapper { name: "setsid", valued: "", operands: 0 },
    Wrapper { name: "time", valued: "fo", operands: 0 },
    Wrapper { name: "flock", valued: "wE", operands: 1 },
    Wrapper { name: "chroot", valued: "", operands: 1 },
    Wrapper { name: "busybox", valued: "", operands: 0 },
    Wrapper { name: "xargs", valued: "InPLdEsa", operands: 0 },
];

/// Options of `find` after which a command stands, up to `;` or `+`.
pub(super) const FIND_EXEC: &[&str] = &["-exec", "-execdir", "-ok", "-okdir"];
