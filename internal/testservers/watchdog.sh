# Makes the directory of a test server and prints its name; ends the server and removes
# the directory when whoever started us closes our standard input, or has died.
#
# $1 is what the directory's name begins with. We make it ourselves: if the test did, and
# were killed before we run, nobody would remove it.
trap '' PIPE
dir=$(mktemp -d "$1XXXXXXXX") || exit
echo "$dir"
exec >/dev/null 2>&1

while read -r _; do :; done

# What lives in the directory is the server's: every process of it has its working
# directory there, also the programs that have just begun to set it up and children that
# their parent does not know of yet. Killing process groups would not do: each Postgres
# backend has a group of its own.
living() { find /proc/[0-9]*/cwd -maxdepth 0 \( -lname "$dir" -o -lname "$dir/*" \); }

# A Postgres that is killed leaves shared memory behind: the System V segment that guards
# its data directory, and, of initdb's, files (the server is told to use its directory).
# The kernel lists both for a process, the segment's id in the inode column. We stop the
# process first, so that it makes no more of them while we look.
end() {
	kill -STOP "$1"
	memory="$memory
$(grep -e /SYSV -e /dev/shm/PostgreSQL "/proc/$1/maps")"
	kill -KILL "$1"
}

# Again and again, because a process may fork while we look.
while [ -n "$(living)" ]; do
	for cwd in $(living); do
		cwd=${cwd#/proc/}
		end "${cwd%/cwd}"
	done
	sleep 0.02
done

# A postmaster that was killed earlier has left the id in its pid file: "key id".
segments=$(echo "$memory" | awk '/SYSV/ { print $5 }'; awk 'NR == 7 { print $2 }' "$dir/data/postmaster.pid")
for id in $(echo "$segments" | sort -u); do ipcrm -m "$id"; done
for file in $(echo "$memory" | grep -o '/dev/shm/PostgreSQL[.0-9]*' | sort -u); do rm -f "$file"; done
rm -rf "$dir"
