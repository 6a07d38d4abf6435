#!/bin/sh
# A module for Petrel: `disk [PATH]` shows the free space of a file system. Requires jq.
#   "modules": {"disk": {"command": ["sh", "disk.sh"]}}
# Texts pass through the standard input of jq. In its arguments their length would be limited.
set -u

# read_message FILTER: prints a text of the message, and a full stop, which protects line feeds at the end of the text.
read_message() {
    printf '%s\n' "$line" | jq -j "$1"
    printf .
}

# result FILTER: responds with what the filter makes of the text on the standard input.
result() {
    jq -cRs --argjson id "$id" "{jsonrpc: \"2.0\", id: \$id, result: ($1)}"
}

# failure CODE: responds with an error, whose message is the text on the standard input.
failure() {
    jq -cRs --argjson id "$id" --argjson code "$1" \
        '{jsonrpc: "2.0", id: $id, error: {code: $code, message: rtrimstr("\n")}}'
}

invoke() {
    path=$(read_message '.params.arguments.path // "/"')
    path=${path%.}
    # A file system that does not respond must not delay the response to `ping`.
    # shellcheck disable=SC2016 # The filter contains a fence of Markdown.
    if output=$(timeout 5 df -h -- "$path" 2>&1); then
        printf '%s\n' "$output" | result '{reply: {text: "```\n\(.)```", style: "markdown"}}'
    else
        printf '%s\n' "${output:-The file system does not respond.}" | failure 1
    fi
}

while IFS= read -r line; do
    if ! kind=$(printf '%s\n' "$line" | jq -r '
        if type != "object" or (.method | type) != "string" then "response"
        elif has("id") | not then "notification"
        elif .method == "invoke" and .params.command != "disk" then "unknown"
        elif .method == "invoke" and (.params.arguments.path | type | . != "string" and . != "null") then "invalid"
        else .method end' 2>/dev/null)
    then
        id=null
        echo "The line is not JSON." | failure -32700
        continue
    fi
    id=$(printf '%s\n' "$line" | jq -c 'if type == "object" then .id else null end')
    case $kind in
    hello)
        result '{protocol: 1, version: "1.0", commands: [
            {name: "disk", summary: "Show free disk space.", arguments: [{name: "path", rest: true}]}]}' </dev/null
        ;;
    ping | shutdown) result '{}' </dev/null ;;
    invoke) invoke ;;
    unknown) echo "The command is unknown." | failure -32602 ;;
    invalid) echo "The argument 'path' must be a text." | failure -32602 ;;
    notification | response) ;;
    *) echo "The method is unknown." | failure -32601 ;;
    esac
done
