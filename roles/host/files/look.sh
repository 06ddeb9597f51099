# shellcheck shell=sh
# Print what is there of the preparation of a host, so that a run that changes nothing is one look: kernel parameters $1,
# and of each file $2: its directory, and digest, mode and owner.
for name in $1; do
    sysctl --ignore -- "$name"
done
for file in $2; do
    if [ -d "${file%/*}" ]; then
        echo "directory ${file%/*}"
    fi
    if [ -f "$file" ]; then
        echo "file $(sha256sum <"$file" | cut -d ' ' -f 1) $(stat --format='%a %u:%g %n' "$file")"
    fi
done
