#!/bin/sh
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# What a test host can do: vm ssh NAME -- sh -s <verify.sh
# One line per check: "ok NAME" or "FAIL NAME: why"; ends with the count.
fails=0
check() {
  name=$1; shift
  if out=$("$@" 2>&1); then echo "ok   $name${out:+: $(echo "$out" | tr '\n' ' ' | cut -c1-150)}"
  else fails=$((fails+1)); echo "FAIL $name: $(echo "$out" | tr '\n' ' ' | cut -c1-200)"; fi
}
sh_() { sh -ec "$kill_group $1"; }
# Linux 5.14 brought cgroup.kill
kill_group='kill_group() { if [ -e $1/cgroup.kill ]; then echo 1 >$1/cgroup.kill; else echo "no cgroup.kill"; kill -9 $(cat $1/cgroup.procs); echo 0 >$1/cgroup.freeze; fi; until rmdir $1 2>/dev/null; do sleep 0.1; done; };'

check kernel uname -r
check os sh_ '. /etc/os-release; echo "$PRETTY_NAME; $(systemctl --version | head -n1); $(python3 --version); pyroute2 $(dpkg-query -Wf \${Version} python3-pyroute2)"'
check state systemctl is-system-running --wait
check init sh_ 'test "$(cat /proc/1/comm)" = systemd'
check session sh_ 'head -n3 /proc/self/cgroup'
mode=$(stat -fc %T /sys/fs/cgroup)
if [ "$mode" = cgroup2fs ]; then
  check cgroup2-controllers sh_ 'c=$(cat /sys/fs/cgroup/cgroup.controllers); for i in cpuset cpu io memory hugetlb pids; do case " $c " in *" $i "*) ;; *) exit 1;; esac; done; echo "$c"'
  check cgroup2-subtree sh_ 'cat /sys/fs/cgroup/cgroup.subtree_control'
  check cgroup2-delegate sh_ 'systemd-run -q --wait --pipe -p Delegate=yes -p Slice=t.slice sh -ec "p=/sys/fs/cgroup\$(cut -d: -f3 /proc/self/cgroup); mkdir \$p/leaf \$p/kid; echo 0 >\$p/leaf/cgroup.procs; cat \$p/cgroup.controllers; echo +cpu +memory +pids +io +cpuset >\$p/cgroup.subtree_control; echo 50000 100000 >\$p/kid/cpu.max; echo 64M >\$p/kid/memory.max; echo 10 >\$p/kid/pids.max"'
  check cgroup2-outside sh_ 'd=/sys/fs/cgroup/outside; mkdir $d; echo +cpu +io +memory +pids +cpuset +hugetlb >/sys/fs/cgroup/cgroup.subtree_control; echo 32M >$d/memory.max; sleep 30 >/dev/null 2>&1 & echo $! >$d/cgroup.procs; systemctl daemon-reload; grep -q . $d/cgroup.procs; kill_group $d'
  check cgroup2-oom sh_ 'd=/sys/fs/cgroup/oomt; mkdir $d; echo 16M >$d/memory.max; (echo 0 >$d/cgroup.procs; exec python3 -c "x = bytearray(64 << 20)") & wait $! || true; grep "^oom_kill [1-9]" $d/memory.events; rmdir $d'
  check cgroup2-io.max sh_ 'echo +io >/sys/fs/cgroup/cgroup.subtree_control; d=/sys/fs/cgroup/iot; mkdir $d; n=$(cat /sys/class/block/vda/dev); echo "$n wbps=1048576" >$d/io.max; cat $d/io.max; (echo 0 >$d/cgroup.procs; s=$(date +%s%N); dd if=/dev/zero of=/root/x bs=256k count=12 oflag=direct status=none; e=$(date +%s%N); echo "3 MiB in $(( (e-s)/1000000 )) ms at 1 MiB/s") ; rmdir $d; rm /root/x'
  check cgroup2-freeze sh_ 'd=/sys/fs/cgroup/frz; mkdir $d; sleep 60 >/dev/null 2>&1 & p=$!; echo $p >$d/cgroup.procs; echo 1 >$d/cgroup.freeze; sleep 0.3; grep -q "frozen 1" $d/cgroup.events; kill_group $d'
  check psi sh_ 'cat /sys/fs/cgroup/system.slice/cpu.pressure /proc/pressure/memory | head -n1; test -e /sys/fs/cgroup/system.slice/memory.pressure'
else
  check cgroup1-mounts sh_ 'findmnt -rno TARGET,FSTYPE -t cgroup,cgroup2 | sed "s,/sys/fs/cgroup/,," | tr "\n" ";"'
  check cgroup1-controllers sh_ 'awk "NR>1{print \$1\":\"\$2}" /proc/cgroups | tr "\n" " "'
  check cgroup1-memory sh_ 'd=/sys/fs/cgroup/memory/t; mkdir $d; echo 16M >$d/memory.limit_in_bytes; cat $d/memory.limit_in_bytes; rmdir $d'
  check cgroup1-cpu sh_ 'd=/sys/fs/cgroup/cpu/t; mkdir $d; echo 50000 >$d/cpu.cfs_quota_us; cat $d/cpu.cfs_quota_us; rmdir $d'
  check cgroup1-pids sh_ 'd=/sys/fs/cgroup/pids/t; mkdir $d; echo 5 >$d/pids.max; rmdir $d'
  check cgroup1-freezer sh_ 'd=/sys/fs/cgroup/freezer/t; mkdir $d; echo FROZEN >$d/freezer.state; rmdir $d'
  check hierarchy sh_ 'if [ -e /sys/fs/cgroup/unified/cgroup.procs ]; then echo hybrid; else echo "v1 only"; fi'
  check delegate sh_ 'systemd-run -q --wait --pipe -p Delegate=yes cat /proc/self/cgroup | tr "\n" " "'
  check psi sh_ 'head -n1 /proc/pressure/cpu'
fi
check transient-scope sh_ 'systemd-run -q --scope -p MemoryMax=64M true'
check user-namespace sh_ 'unshare --user --map-root-user id -u'
check unprivileged-userns sh_ 'setpriv --reuid 65534 --regid 65534 --clear-groups unshare --user --map-root-user id -u'
check all-namespaces sh_ 'unshare --user --map-root-user --mount --uts --ipc --net --pid --cgroup --time --fork --mount-proc sh -c "readlink /proc/self/ns/pid"'
check netns-persistent sh_ 'ip netns add t1; ip -n t1 link set lo up; ip netns exec t1 ping -qc1 -W2 127.0.0.1 | grep -o "1 received"; ip netns del t1'
check overlay sh_ 'd=$(mktemp -d /var/tmp/o.XXXX); cd $d; mkdir l u w m; echo a >l/f; mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w m; echo b >m/f; cat u/f; umount m; rm -r $d'
check overlay-in-userns sh_ 'd=$(mktemp -d /var/tmp/o.XXXX); cd $d; mkdir l u w m; unshare --user --map-root-user --mount mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w m; rm -r $d'
check squashfs-module modprobe -q squashfs
check erofs-module modprobe -q erofs
check loop sh_ 'modprobe loop; test -e /dev/loop-control'
for kind in "veth peer name tp" bridge "bridge vlan_filtering 1" "vxlan id 7 dstport 4789 local 127.0.0.1" dummy ifb wireguard "bond mode active-backup" "vrf table 77" "geneve id 5 remote 127.0.0.2" "gretap local 127.0.0.1 remote 127.0.0.2" "ipip local 127.0.0.1 remote 127.0.0.2" "macsec" nlmon team; do
  case $kind in macsec) set -- link eth0 ;; *) set -- ;; esac
  check "link-${kind%% *}$(case $kind in *vlan_f*) echo -vlan;; esac)" sh_ "ip link add $* tl type $kind; ip link del tl"
done
for kind in "macvlan mode bridge" "macvtap mode bridge" "ipvlan mode l3s" "ipvtap mode l2" "vlan id 9"; do
  check "link-${kind%% *}" sh_ "ip link add tb type dummy; trap 'ip link del tb' EXIT; ip link set tb up; ip link add link tb name tl type $kind"
done
check tun sh_ 'modprobe tun; ip tuntap add dev tt mode tap; ip link del tt'
check bridge-mst-vlan sh_ 'ip link add tb type bridge vlan_filtering 1 mcast_snooping 1; ip link add tv type veth peer name tw; ip link set tv master tb; bridge vlan add dev tv vid 5; bridge vlan show dev tv | grep -q 5; ip link del tv; ip link del tb'
check wg sh_ 'ip link add w0 type wireguard; wg genkey | wg set w0 private-key /dev/stdin; ip link del w0'
check nft-nat sh_ 'nft -f - <<E
add table ip tnat
add chain ip tnat p { type nat hook postrouting priority 100; }
add rule ip tnat p oifname "eth0" masquerade
add chain ip tnat d { type nat hook prerouting priority -100; }
add rule ip tnat d tcp dport 8080 dnat to 10.0.2.15:80
add table bridge tbr
add chain bridge tbr f { type filter hook forward priority 0; }
add rule bridge tbr f ether type arp accept
add table netdev tnd
add chain netdev tnd i { type filter hook ingress device eth0 priority 0; }
add table inet tin
add set inet tin s { type ipv4_addr; flags interval, timeout; }
add chain inet tin f { type filter hook input priority 0; }
add rule inet tin f ct state established accept
E
nft list ruleset | grep -c chain; for t in "ip tnat" "bridge tbr" "netdev tnd" "inet tin"; do nft delete table $t; done'
check nat-traffic sh_ 'ip netns add tn; ip link add tv type veth peer name tw netns tn; ip addr add 10.9.0.1/24 dev tv; ip link set tv up; ip -n tn addr add 10.9.0.2/24 dev tw; ip -n tn link set tw up; ip -n tn link set lo up; ip -n tn route add default via 10.9.0.1; sysctl -qw net.ipv4.ip_forward=1; ip link add td type dummy; ip addr add 10.8.0.1/24 dev td; ip link set td up; nft "add table ip tn; add chain ip tn p { type nat hook postrouting priority 100; }; add rule ip tn p ip saddr 10.9.0.0/24 masquerade"; ip netns exec tn ping -qc2 -i0.2 -W3 10.8.0.1 | grep -o "2 received"; nft delete table ip tn; ip link del td; ip netns del tn'
check tc sh_ 'ip link add td type dummy; tc qdisc add dev td root handle 1: htb default 1; tc class add dev td parent 1: classid 1:1 htb rate 1mbit; tc qdisc add dev td parent 1:1 netem delay 1ms; tc qdisc add dev td clsact; tc filter add dev td ingress matchall action drop; ip link del td'
check seccomp sh_ 'grep Seccomp_filters /proc/self/status; ! systemd-run -q --wait --pipe -p SystemCallFilter="~mkdir mkdirat" -p SystemCallErrorNumber=EPERM mkdir /run/nope; test ! -e /run/nope; systemctl reset-failed'
check apparmor-lsm sh_ 'echo "lsm=$(cat /sys/kernel/security/lsm) enabled=$(cat /sys/module/apparmor/parameters/enabled)"'
check apparmor-load sh_ 'echo "profile tprof { file, capability, }" >/tmp/p; apparmor_parser -r /tmp/p; aa-exec -p tprof cat /proc/self/attr/current; apparmor_parser -R /tmp/p'
check hugepages sh_ 'echo 4 >/proc/sys/vm/nr_hugepages; grep HugePages_Total /proc/meminfo; echo 0 >/proc/sys/vm/nr_hugepages'
check bpf-cgroup sh_ 'systemd-run -q --wait --pipe -p IPAddressDeny=any -p IPAddressAllow=localhost true; test -e /sys/kernel/btf/vmlinux'
check fuse modprobe -q fuse
check iocost sh_ 'test -e /sys/fs/cgroup/io.cost.qos && echo yes || { [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ] && echo "v2 only"; }'
check bfq sh_ 'modprobe bfq; echo bfq >/sys/block/vda/queue/scheduler; cat /sys/block/vda/queue/scheduler; echo none >/sys/block/vda/queue/scheduler'
check idmapped-mount sh_ 'd=$(mktemp -d); mkdir $d/a $d/b; mount --bind -o X-mount.idmap=b:0:100000:65536 $d/a $d/b 2>/dev/null && umount $d/b || { mount --help | grep -q idmap && exit 1 || echo "util-linux too old to ask"; }'
check sysctl-userns sh_ 'sysctl -n user.max_user_namespaces kernel.unprivileged_userns_clone | tr "\n" " "'
echo "failed: $fails"
[ "$fails" = 0 ]
