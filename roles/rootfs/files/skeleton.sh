# shellcheck shell=sh
# A root file system whose programs are the host's /usr, mounted read-only when the container starts.
# $1: its directory. It is put together beside its place, so that it is there as a whole or not at all.
set -eu
umask 022
draft="$1.new"
rm -rf "$draft"
mkdir -p "$draft"
cd "$draft"
mkdir dev etc home mnt opt proc root run srv sys tmp usr var var/cache var/lib var/log var/tmp
chmod 0700 root
chmod 1777 tmp var/tmp
ln -s ../run var/run
for name in bin sbin lib lib32 lib64 libx32; do
    if [ -L "/$name" ]; then
        ln -s "$(readlink "/$name")" "$name"
    elif [ -d "/$name" ]; then
        cp -a "/$name" "$name"
    fi
done
# Names of users come from files alone; what the host's other sources of names are is no business of a container's.
printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin' >etc/passwd.new
printf '%s\n' 'root:x:0:' 'tty:x:5:' 'nogroup:x:65534:' >etc/group
printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' >etc/nsswitch.conf
printf '%s\n' '127.0.0.1 localhost' '::1 localhost ip6-localhost' >etc/hosts
for name in alternatives ld.so.cache ld.so.conf ld.so.conf.d localtime mime.types protocols services ssl; do
    if [ -e "/etc/$name" ]; then
        cp -a "/etc/$name" etc/
    fi
done
rm -rf etc/ssl/private
mv etc/passwd.new etc/passwd
mkdir -p "$(dirname "$1")"
mv "$draft" "$1"
