-- Rejects the next message of an account with an error, when a person asks for it:
--   <message to='localhost'><refuse xmlns='urn:petrel:tests' account='petrel1' type='wait' condition='…'/></message>
-- The server answers with a message.
local st = require "util.stanza";

local refusals = {};

local function refuse(event)
	local origin, stanza = event.origin, event.stanza;
	local refusal = refusals[origin.username];
	if not refusal or stanza.attr.type == "error" then return; end
	refusals[origin.username] = nil;
	origin.send(st.error_reply(stanza, refusal.type, refusal.condition));
	return true;
end

for _, kind in ipairs({ "bare", "full" }) do module:hook("pre-message/" .. kind, refuse, 1000); end

module:hook("message/host", function (event)
	local order = event.stanza:get_child("refuse", "urn:petrel:tests");
	if not order then return; end
	refusals[order.attr.account] = { type = order.attr.type, condition = order.attr.condition };
	event.origin.send(st.message({ to = event.stanza.attr.from, from = module.host }, "refusing"));
	return true;
end, 1000);
