# Runs a PostgreSQL in the folder $2 with the programs in $1 until standard input ends, which it does with the process
# that holds its other end. Then nothing is left of it. It refuses to run as root.
as=
if [ "$(id -u)" = 0 ]; then
    as='setpriv --reuid=postgres --regid=postgres --clear-groups'
    chown postgres "$2"
fi
cd "$2" || exit 1
$as "$1/initdb" --pgdata "$2/data" --username postgres --auth trust --no-sync --encoding UTF8 --no-locale >"$2/log" 2>&1 &&
    exec 3>>"$2/log" &&
    { $as "$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c max_connections=200 \
        -c shared_buffers=16MB </dev/null >&3 2>&3 & }
cat >/dev/null
kill -QUIT $! 2>/dev/null
wait
rm -rf "$2"
