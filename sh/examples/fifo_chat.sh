#!/bin/sh
# A backend for Petrel: a chat with one person over two files in a folder. Requires jq.
#   "backends": {"fifo": {"kind": "process", "command": ["sh", "fifo_chat.sh"], "settings": {"folder": "chat"}}}
# Each line that is written to the FIFO `in` is a message, and the answers are appended to the file `out`:
#   tail -f chat/out &
#   echo '!help' >chat/in
# Texts pass through the standard input of jq. In its arguments their length would be limited.
set -u
umask 077

temporary=$(mktemp -d) || exit 1
reader=
trap 'rm -rf "$temporary"; [ -z "$reader" ] || kill "$reader"' EXIT
trap 'exit 1' HUP INT TERM
mkfifo "$temporary/responses"
# Open in both directions, a FIFO has no end.
exec 3<>"$temporary/responses"

# emit: writes the message on the standard input. Only one process may write at a time.
emit() {
    message=$(cat)
    until mkdir "$temporary/lock" 2>/dev/null; do sleep 0.05; done
    printf '%s\n' "$message"
    rmdir "$temporary/lock"
}

# result JSON: responds with a result.
result() {
    jq -cn --argjson id "$id" --argjson result "$1" '{jsonrpc: "2.0", id: $id, result: $result}' | emit
}

# failure CODE MESSAGE [DATA]: responds with an error.
failure() {
    jq -cn --argjson id "$id" --argjson code "$1" --arg message "$2" --argjson data "${3:-null}" \
        '{jsonrpc: "2.0", id: $id, error: ({code: $code, message: $message, data: $data} | del(.[] | nulls))}' | emit
}

# deliver_lines: delivers each line of the FIFO, and waits for the response before it reads the next one.
deliver_lines() {
    number=0
    started=$(date +%s)
    while IFS= read -r text; do
        [ -n "$text" ] || continue
        number=$((number + 1))
        printf '%s' "$text" | jq -cRs --arg id "$started-$$-$number" '{jsonrpc: "2.0", id: $id, method: "deliver",
            params: {id: $id, from: {id: "local", name: "@local", stable: true}, text: .}}' | emit
        read -r _ <&3
    done <>"$folder/in"
}

# hello: opens the folder. A message for Petrel may follow only after the response.
hello() {
    folder=$(printf '%s\n' "$line" | jq -r '.params.settings.folder? // ""')
    if [ -z "$folder" ]; then
        failure 1 "The setting 'folder' is missing."
    elif ! mkdir -p "$folder" || { [ ! -p "$folder/in" ] && ! mkfifo "$folder/in"; }; then
        failure -32603 "The FIFO cannot be created."
    else
        result '{"protocol": 1, "version": "1.0", "traits": {"maximum_length": 100000}}'
        deliver_lines &
        reader=$!
    fi
}

send() {
    if printf '%s\n' "$line" | jq -r '.params.reply.text' >>"$folder/out"; then
        result '{}'
    else
        failure 2 "The file 'out' cannot be written." '{"remedy": "later", "after": 10}'
    fi
}

while IFS= read -r line; do
    if ! kind=$(printf '%s\n' "$line" | jq -r '
        if type != "object" then "other"
        elif has("method") | not then "response"
        elif has("id") | not then "notification"
        elif .method == "send" and (.params.reply.text? | type) != "string" then "invalid"
        else .method end' 2>/dev/null)
    then
        id=null
        failure -32700 "The line is not JSON."
        continue
    fi
    id=$(printf '%s\n' "$line" | jq -c 'if type == "object" then .id else null end')
    case $kind in
    hello) hello ;;
    ping | shutdown) result '{}' ;;
    send) send ;;
    response) echo >&3 ;;
    invalid) failure -32602 "The parameter 'reply' is invalid." ;;
    notification | other) ;;
    *) failure -32601 "The method is unknown." ;;
    esac
done
