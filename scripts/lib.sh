# Sourced by the scripts beside it; does nothing by itself.

die() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 2
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

check_mount() {
    case $1 in
        *..* | *[!A-Za-z0-9/._-]*) die "not a mount point: $1" ;;
        /*) ;;
        *) die "not a mount point: $1" ;;
    esac
}

check_number() {
    case $1 in
        '' | *[!0-9]*) die "not a number: $1" ;;
    esac
}

# on_host HOST ARGUMENT…: runs the shell script on standard input on HOST, with the arguments.
# An unknown or changed host key fails, and nothing asks for a password.
on_host() {
    on_host_name=$1
    shift
    if [ "$on_host_name" = "$(uname -n)" ] || [ "$on_host_name" = localhost ]; then
        sh -eu -s -- "$@"
    else
        ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=10 -- \
            "$on_host_name" sh -eu -s -- "$@"
    fi
}
