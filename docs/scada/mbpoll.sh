#!/bin/sh
# Reads a node with mbpoll and caps its power. Give the node's address: sh mbpoll.sh 192.168.84.90 [PORT]
set -eu
node=${1:-192.168.84.90}
port=${2:-502}
ask() { mbpoll -m tcp -p "$port" -a 1 -0 -1 -q "$@"; }

# Who answers: 0x545A, the map's version, the word order, the channels.
ask -t 4:hex -r 0 -c 4 "$node"
# The power of all channels, mW (two registers, the higher word first).
ask -t 4:int -B -r 102 -c 1 "$node"
# Bus voltage, mV; the site's state.
ask -t 4 -r 108 -c 1 "$node"
ask -t 4 -r 107 -c 1 "$node"
# All faults, a discrete input each.
ask -t 1 -r 0 -c 32 "$node"
# Cap the power at 600 W (10 W a count), say that somebody is there, and look at what is in force.
ask -t 4 -r 704 "$node" 60
ask -t 4 -r 700 "$node" 1
ask -t 4 -r 704 -c 1 "$node"
ask -t 4 -r 601 -c 1 "$node"
