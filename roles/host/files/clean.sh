# shellcheck shell=sh
# Remove what is left of the collection when nothing of it is there any more. Prints what it removed.
for directory in /var/lib/nsfleet /run/nsfleet; do
    if [ -d "$directory" ]; then
        find "$directory" -mindepth 1 -depth -type d -empty -print -delete
        if rmdir "$directory" 2>/dev/null; then
            echo "$directory"
        fi
    fi
done
# The directory of ip-netns(8) is a mount; without names in it, nobody needs it.
if mountpoint -q /run/netns && [ -z "$(ls -A /run/netns)" ]; then
    while mountpoint -q /run/netns; do
        umount /run/netns
    done
    rmdir /run/netns
    echo /run/netns
fi
