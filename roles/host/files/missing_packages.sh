# shellcheck shell=sh
# Print those of the packages $1, $2, ... that are not installed.
for name; do
    if command -v dpkg-query >/dev/null; then
        status=$(dpkg-query --show --showformat='${db:Status-Status}' "$name" 2>/dev/null) || true
        [ "$status" = installed ] || echo "$name"
    else
        rpm --query --quiet --whatprovides "$name" || echo "$name"
    fi
done
