#!/bin/sh
# Runs a node, and kills it where its application has not answered at WATCHED three times in a row: a node does not connect to it again, and
# may be deaf to everything but SIGKILL.
"$@" &
node=$!
trap 'kill -TERM $node 2>/dev/null' TERM INT
missed=0
while kill -0 $node 2>/dev/null; do
    sleep "${WATCH_SECONDS:-2}" &
    wait $! # which a signal ends
    if wget -q -T 5 -O /dev/null "$WATCHED"; then missed=0; else missed=$((missed + 1)); fi
    [ $missed -lt 3 ] || kill -KILL $node 2>/dev/null
done
wait $node
