# shellcheck shell=sh
# Sourced by the scripts beside it; does nothing by itself.

die() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 2
}

# needs PROGRAM…: ends with 127, as a shell does, where a program is missing on this machine.
needs() {
    for program; do
        command -v "$program" >/dev/null || {
            printf '%s: %s is not installed on %s\n' "${0##*/}" "$program" "$(uname -n)" >&2
            exit 127
        }
    done
}

# What reaches another host's shell passes one of these first: ssh joins its arguments into one line for it.
check_host() {
    case $1 in
        '' | [!A-Za-z0-9]* | *[!A-Za-z0-9.-]*) die "not a host name: $1" ;;
    esac
}

check_service() {
    case $1 in
        '' | [!A-Za-z0-9]* | *[!A-Za-z0-9@._-]*) die "not a service: $1" ;;
    esac
}

# A name in Kubernetes, or a context of kubectl.
check_name() {
    case $1 in
        '' | [!A-Za-z0-9]* | *[!A-Za-z0-9._-]*) die "not a name: $1" ;;
    esac
}

check_mount() {
    case $1 in
        *..* | *[!A-Za-z0-9/._-]*) die "not a mount point: $1" ;;
        /*) ;;
        *) die "not a mount point: $1" ;;
    esac
}

# A path on this machine, from the config's folder.
check_path() {
    case $1 in
        '' | -* | *..* | *[!A-Za-z0-9/._-]*) die "not a plain path: $1" ;;
    esac
}

# At most nine digits, and no leading zero, which arithmetic would read as octal.
check_number() {
    case $1 in
        0) ;;
        '' | 0* | *[!0-9]* | ??????????*) die "not a number: $1" ;;
    esac
}

# options 'REQUIRED…' 'OPTIONAL…' ARGUMENT…: sets the variable of each option that is given, once it is checked.
# shellcheck disable=SC2034 # The scripts read what this sets.
options() {
    options_known=" $1 $2 " options_missing=" $1 "
    shift 2
    while [ $# -gt 0 ]; do
        case $1 in
            --*[!a-z-]* | --) die "unknown argument: $1" ;;
            --*) ;;
            *) die "unknown argument: $1" ;;
        esac
        options_name=${1#--}
        case $options_known in
            *" $options_name "*) ;;
            *) die "unknown argument: $1" ;;
        esac
        [ $# -ge 2 ] || die "$1 needs a value"
        case $options_name in
            host) check_host "$2" && host=$2 ;;
            bmc) check_host "$2" && bmc=$2 ;;
            domain) check_host "$2" && domain=$2 ;;
            service) check_service "$2" && service=$2 ;;
            user) check_service "$2" && user=$2 ;;
            context) check_name "$2" && context=$2 ;;
            namespace) check_name "$2" && namespace=$2 ;;
            pod) check_name "$2" && pod=$2 ;;
            node) check_name "$2" && node=$2 ;;
            deployment) check_name "$2" && deployment=$2 ;;
            mount) check_mount "$2" && mount=$2 ;;
            secret) check_path "$2" && secret=$2 ;;
            state) check_path "$2" && state=$2 ;;
            percent) check_number "$2" && percent=$2 ;;
            days) check_number "$2" && days=$2 ;;
            keep-days) check_number "$2" && keep_days=$2 ;;
            minutes) check_number "$2" && minutes=$2 ;;
            seconds) check_number "$2" && seconds=$2 ;;
            milliseconds) check_number "$2" && milliseconds=$2 ;;
            mebibytes) check_number "$2" && mebibytes=$2 ;;
            jitter) check_number "$2" && jitter=$2 ;;
            replicas) check_number "$2" && replicas=$2 ;;
            port) check_number "$2" && port=$2 ;;
            # Free text: only ever one argument of a program here, never sent to another shell.
            about) about=$2 ;;
            reason) reason=$2 ;;
            *) die "no check is known for $1" ;;
        esac
        options_missing=$(printf '%s' "$options_missing" | sed "s/ $options_name / /")
        shift 2
    done
    for options_name in $options_missing; do
        die "--$options_name is required"
    done
}

# on_host HOST ARGUMENT…: runs the shell script on standard input on HOST, with the arguments. There it can call `needs` too.
# An unknown or changed host key fails, and nothing asks for a password.
on_host() {
    on_host_name=$1
    shift
    # As one function the text has arrived whole before any of it runs, also where the connection breaks in the middle,
    # and what it runs cannot read the rest of it as its input.
    on_host_text="needs() {
    for program; do
        command -v \"\$program\" >/dev/null || {
            printf '%s is not installed on %s\\n' \"\$program\" \"\$(uname -n)\" >&2
            exit 127
        }
    done
}
main() {
$(cat)
}
main \"\$@\" </dev/null"
    if [ "$on_host_name" = "$(uname -n)" ] || [ "$on_host_name" = localhost ]; then
        printf '%s\n' "$on_host_text" | sh -eu -s -- "$@"
    else
        printf '%s\n' "$on_host_text" | ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=10 -- \
            "$on_host_name" sh -eu -s -- "$@"
    fi
}
