# Runs a PostgreSQL in the folder $2 with the programs in $1 until standard input ends, which it does with the process
# that holds its other end. Then nothing is left of it. Lines of standard input stop it and start it again meanwhile. It
# refuses to run as root.
as=
if [ "$(id -u)" = 0 ]; then
    as='setpriv --reuid=postgres --regid=postgres --clear-groups'
    chown postgres "$2"
fi
cd "$2" || exit 1
programs=$1 folder=$2 server=
serve() {
    $as "$programs/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c fsync=off -c max_connections=200 \
        -c shared_buffers=16MB </dev/null >&3 2>&3 &
    server=$!
}
$as "$1/initdb" --pgdata "$2/data" --username postgres --auth trust --no-sync --encoding UTF8 --no-locale >"$2/log" 2>&1 &&
    exec 3>>"$2/log" &&
    serve
while read -r wish; do
    case $wish in
    stop) kill -INT "$server" && wait "$server" ;;
    start) serve ;;
    esac
done
kill -QUIT "$server" 2>/dev/null
wait
rm -rf "$2"
