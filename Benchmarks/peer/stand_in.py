#!/usr/bin/env python3
"""A small, fast simulated StackStorm (plain asyncio and uvloop, hand-written HTTP/1.1).

Endpoints (JSON shapes follow st2 master: st2api/controllers/v1/{actionalias,aliasexecution}.py,
st2stream/controllers/v1/stream.py, st2auth):
  POST /auth/v1/tokens                 Basic auth -> 201 token
  POST /auth/v1/tokens/validate        200 {"valid": bool}
  GET  /api/v1/                        200 {"version","docs_url"}
  GET  /api/v1/actionalias             list
  GET  /api/v1/actionalias/help        {"available":n,"helpstrings":[...]}
  POST /api/v1/actionalias/match       200 | 400 faultstring
  POST /api/v1/aliasexecution          201
  POST /api/v1/aliasexecution/match_and_execute  201 {"results":[...]} | 400
  GET  /api/v1/executions/{id}
  GET  /api/v1/inquiries/
  GET  /api/v1/user                    the user of a credential
  GET  /api/v1/executions              announcements as executions: runner=announcement, timestamp_gt, timestamp_lt, limit, offset
  GET  /stream/v1/stream               SSE, with ?events= as StackStorm filters
Control (not part of StackStorm):
  POST /_ctl    {"fault":{"match":"500|401|403|garbage|empty|hang|slow:<ms>|close|null", "exec":..,"help":..,"tokens":..,"stream":..},
                 "drop_streams":true, "auto_result":bool, "aliases":n, "reset":true,
                 "burst":{"count":n,"rate":0,"channel":"#ops","pad":0,"route":"errbot","id":"b1"},
                 "noise":{"count":n,"size":bytes}, "raw":"<text written verbatim to every stream>", "revoke":true}
  GET  /_stats
"""
import argparse, asyncio, base64, collections, datetime, fnmatch, json, os, re, time, urllib.parse, uuid
try:
    import uvloop; uvloop.install()
except ImportError: pass
now = time.monotonic_ns
ap = argparse.ArgumentParser()
ap.add_argument('--port', type=int, default=9199)
ap.add_argument('--aliases', type=int, default=200)
ap.add_argument('--auto-result', action='store_true')
ap.add_argument('--heartbeat', type=float, default=25.0)   # st2 stream heartbeat
A = ap.parse_args()

try: TPL = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "execution.json")))   # execution object captured from a real StackStorm 3.10dev
except OSError: TPL = {}
HDR = (b"Server: nginx\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: GET,POST,PUT,DELETE,OPTIONS\r\nAccess-Control-Allow-Headers: Content-Type,Authorization,X-Auth-Token,St2-Api-Key,X-Request-ID\r\n"
  b"Access-Control-Allow-Credentials: true\r\nAccess-Control-Expose-Headers: Content-Type,X-Limit,X-Total-Count,X-Request-ID\r\nX-Request-ID: b855a2f9-81d3-4c59-911c-f8d3b7bac2b3\r\nX-Frame-Options: DENY\r\n")
def http_date(): return time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime()).encode()
def hexid(n): return '%024x' % (0x5a0000000000000000000000 + n)
def mk_aliases(n):
    out = []
    for i in range(n):
        pack = 'pack%02d' % (i % 20)
        name = 'alias_%04d' % i
        out.append({"id": hexid(i), "uid": "action_alias:%s:%s" % (pack, name), "ref": "%s.%s" % (pack, name),
          "name": name, "pack": pack, "description": "Bench alias number %d doing something useful" % i,
          "enabled": True, "action_ref": "core.local",
          "formats": [{"display": "bench%d <cmd>" % i, "representation": ["bench%d {{cmd}}" % i]},
                      {"display": "run job%d on <host> with <opts>" % i, "representation": ["run job%d on {{host}} with {{opts=none}}" % i]}],
          "ack": {"enabled": True, "format": "Executing bench %d" % i, "append_url": False},
          "result": {"format": "result of {{ execution.id }}"}, "extra": {}, "metadata_file": "aliases/%s.yaml" % name,
          "immutable_parameters": {}})
    return out
class S: pass
st = S()
st.aliases = mk_aliases(A.aliases); st.fault = {}; st.streams = set(); st.tokens = {}; st.auto = A.auto_result
st.execs = []; st.matches = []; st.stream_conns = []; st.counts = {}; st.bursts = []; st.nexec = 0; st.revoked = False
st.announced = collections.deque(maxlen=100_000); st.nannounced = 0   # old ones are purged, as StackStorm's are
HELP = {}
def helpjson(pack, flt, limit, offset):
    k = (len(st.aliases), pack, flt, limit, offset)
    if k not in HELP:
        hs = []
        for a in st.aliases:
            for f in a['formats']:
                if (pack and a['pack'] != pack) or (flt and not re.search(flt, f['display'])): continue
                hs.append({"pack": a['pack'], "display": f['display'], "description": a['description']})
        hs.sort(key=lambda h: h['pack'])
        tot = len(hs); hs = hs[offset: offset+limit if limit else None]
        HELP[k] = json.dumps({"available": tot, "helpstrings": hs}).encode()
    return HELP[k]
R1 = re.compile(r'^bench(\d+) (.+)$', re.S); R2 = re.compile(r'^run job(\d+) on (\S+)(?: with (.*))?$', re.S)
def match(cmd):
    m = R1.match(cmd)
    if m and int(m[1]) < len(st.aliases): a = st.aliases[int(m[1])]; return a, a['formats'][0], {"cmd": m[2]}
    m = R2.match(cmd)
    if m and int(m[1]) < len(st.aliases): a = st.aliases[int(m[1])]; return a, a['formats'][1], {"host": m[2], "opts": m[3]}
    return None
def fault400(cmd): return 400, {"faultstring": "Command '%s' matched no patterns" % cmd}
REASON = {200:'OK',201:'Created',202:'Accepted',400:'Bad Request',401:'Unauthorized',403:'Forbidden',404:'Not Found',500:'Internal Server Error',502:'Bad Gateway',503:'Service Unavailable'}
def event_bytes(name, data): return ('event: %s\ndata: %s\n\n' % (name, json.dumps(data))).encode()

BYNAME = {}
def stamp(days=0): return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).strftime('%Y-%m-%dT%H:%M:%S.%fZ')
def execution(a, j, params):
    st.nexec += 1; eid = hexid(st.nexec)
    ex = {"id": eid, "status": "requested", "action": {"ref": "core.local", "runner_type": "local-shell-cmd", "name": "local", "pack": "core"},
          "parameters": params, "start_timestamp": stamp(), "context": {"user": "errbot", "api_user": j.get('user'), "source_channel": j.get('source_channel'), "action_alias_ref": {"name": a['name'], "pack": a['pack']}},
          "liveaction": {"id": hexid(st.nexec + 1000000), "action": "core.local", "parameters": params, "notify": {"on-complete": {"routes": [j.get('notification_route')], "data": {"user": j.get('user'), "source_channel": j.get('source_channel'), "source_context": j.get('source_context')}}}},
          "web_url": "https://st2/?#/history/" + eid, "log": [{"status": "requested", "timestamp": stamp()}]}
    return {**ex, **TPL, **{k: ex[k] for k in ('id', 'parameters', 'context', 'web_url', 'start_timestamp')}} if TPL else ex
def record(payload, route):
    st.nannounced += 1
    st.announced.append({"id": hexid(2000000 + st.nannounced), "status": "succeeded", "start_timestamp": stamp(), "parameters": {**payload, "route": route}, "parent": None})
def announce(route, channel, message, user=None, whisper=False, extra=None, context=None):
    """An announcement is an execution (GET /executions?runner=announcement) and an event on the stream."""
    payload = {"user": user, "channel": channel, "whisper": whisper, "message": message, "context": context, "extra": extra or {}}
    record(payload, route)
    broadcast(event_bytes('st2.announcement__' + route, {"payload": payload, "trace_context": None}), 'st2.announcement__' + route)

class P(asyncio.Protocol):
    def connection_made(self, t):
        self.t = t; self.buf = b''; self.stream = False; self.paused = False; self.can = asyncio.Event(); self.can.set()
        st.counts['conn'] = st.counts.get('conn', 0) + 1
    def pause_writing(self): self.can.clear()
    def resume_writing(self): self.can.set()
    def connection_lost(self, e):
        st.streams.discard(self); self.can.set()
        if self.stream: st.stream_conns.append(('lost', now()))
    def data_received(self, d):
        self.buf += d
        while True:
            i = self.buf.find(b'\r\n\r\n')
            if i < 0: return
            head = self.buf[:i].decode('latin1'); lines = head.split('\r\n')
            meth, path, _ = lines[0].split(' ', 2)
            h = {}
            for l in lines[1:]:
                k, v = l.split(':', 1); h[k.lower()] = v.strip()
            n = int(h.get('content-length', 0))
            if len(self.buf) < i + 4 + n: return
            body = self.buf[i+4:i+4+n]; self.buf = self.buf[i+4+n:]
            self.handle(meth, path, h, body)
    def send(self, code, obj, ctype='application/json', close=False, extra=b''):
        b = obj if isinstance(obj, bytes) else json.dumps(obj).encode()
        self.t.write(b'HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nDate: %s\r\n%s%s\r\n' % (code, REASON.get(code, 'X').encode(), ctype.encode(), len(b), http_date(), HDR + extra, b'Connection: close\r\n' if close else b'') + b)
        if close: self.t.close()
    def faulted(self, kind, then):
        f = st.fault.get(kind)
        if not f: return then()
        if f in ('500', '502', '503', '404', '429'): return self.send(int(f), {"faultstring": "Internal Server Error"})
        if f == '401': return self.send(401, {"faultstring": "Unauthorized - Invalid or missing credentials"})
        if f == '403': return self.send(403, {"faultstring": "User \"errbot\" doesn't have required permission \"action_execute\""})
        if f == 'garbage': return self.send(201 if kind in ('exec', 'tokens') else 200, b'<html>}{garbage \xff\xfe', 'text/html')
        if f == 'garbage200': return self.send(200, b'<html>}{garbage', 'text/html')
        if f == 'empty': return self.send(201 if kind in ('exec', 'tokens') else 200, b'')
        if f == 'emptyobj': return self.send(201 if kind in ('exec', 'tokens') else 200, b'{}')
        if f == 'hang': return
        if f == 'close': return self.t.close()
        if f.startswith('slow:'): asyncio.get_running_loop().call_later(int(f[5:]) / 1000, then); return
        then()
    def authed(self, h):
        t = h.get('x-auth-token'); k = h.get('st2-api-key')
        if k: return k != 'BADKEY'
        return t in st.tokens and not st.revoked
    def handle(self, meth, path, h, body):
        p, _, q = path.partition('?'); c = st.counts; c[p] = c.get(p, 0) + 1
        if p == '/api/v1/actionalias/match' and meth == 'POST':
            t = now()
            def go():
                if not self.authed(h): return self.send(401, {"faultstring": "Unauthorized"})
                cmd = json.loads(body)['command']; st.matches.append((cmd, t)); m = match(cmd)
                if not m: return self.send(*fault400(cmd))
                self.send(200, {"actionalias": m[0], "display": m[1]['display'], "representation": m[1]['representation'][0]})
            return self.faulted('match', go)
        if p == '/api/v1/aliasexecution/match_and_execute' and meth == 'POST':
            t = now()
            def go():
                if not self.authed(h): return self.send(401, {"faultstring": "Unauthorized"})
                j = json.loads(body); cmd = j['command']; m = match(cmd)
                st.execs.append((cmd, t, j))
                if not m: return self.send(*fault400(cmd))
                ex = execution(m[0], j, m[2])
                self.send(201, {"results": [{"execution": ex, "actionalias": m[0], "message": "ACK %s" % cmd}]})
                if st.auto: asyncio.get_running_loop().call_soon(announce, j.get('notification_route') or 'errbot', j.get('notification_channel') or j.get('source_channel'), "RESULT %s" % cmd, j.get('user'))
            return self.faulted('exec', go)
        if p == '/api/v1/aliasexecution' and meth == 'POST':
            t = now()
            def go():
                if not self.authed(h): return self.send(401, {"faultstring": "Unauthorized"})
                j = json.loads(body); cmd = j.get('command', '')
                a = BYNAME.get(j.get('name'))
                if a is None or len(BYNAME) != len(st.aliases): BYNAME.clear(); BYNAME.update((x['name'], x) for x in st.aliases); a = BYNAME.get(j.get('name'))
                if a is None: return self.send(404, {"faultstring": "Unable to find the ActionAliasDB instance. {'name': %r}" % j.get('name')})
                if not any(j.get('format') in f['representation'] for f in a['formats']): return self.send(400, {"faultstring": "Format string '%s' is not available on the alias '%s'" % (j.get('format'), a['name'])})
                st.execs.append((cmd, t, j)); ex = execution(a, j, {"cmd": cmd})
                self.send(201, {"execution": ex, "actionalias": a, "message": "ACK %s" % cmd})
                if st.auto: asyncio.get_running_loop().call_soon(announce, j.get('notification_route') or 'errbot', j.get('notification_channel') or j.get('source_channel'), "RESULT %s" % cmd, j.get('user'), False, None, j.get('source_context'))
            return self.faulted('exec', go)
        if p == '/api/v1/user': return self.send(200, {"username": st.tokens.get(h.get('x-auth-token'), 'errbot'), "rbac": {"enabled": False, "roles": [], "is_admin": True}, "authentication": {"method": "authentication token", "location": "header", "token_expire": stamp(days=1)}}) if self.authed(h) else self.send(401, {"faultstring": "Unauthorized"})
        if p == '/api/v1/executions':
            if not self.authed(h): return self.send(401, {"faultstring": "Unauthorized"})
            qs = {k: v[0] for k, v in urllib.parse.parse_qs(q).items()}
            rows = [r for r in st.announced if r['start_timestamp'] > qs.get('timestamp_gt', '') and r['start_timestamp'] < qs.get('timestamp_lt', '9')] if qs.get('runner') == 'announcement' or qs.get('action') == 'chatops.post_message' else []
            if 'sort_asc' not in qs: rows = rows[::-1]
            off, lim = int(qs.get('offset', 0)), int(qs.get('limit', 100)); page = rows[off:off + lim] if lim > 0 else rows[off:]
            return self.send(200, page, extra=b'X-Total-Count: %d\r\nX-Limit: %d\r\n' % (len(rows), lim))
        if p == '/api/v1/actionalias/help':
            qs = dict(x.split('=', 1) for x in q.split('&') if '=' in x)
            def go():
                if not self.authed(h): return self.send(401, {"faultstring": "Unauthorized"})
                self.send(200, helpjson(qs.get('pack'), qs.get('filter'), int(qs.get('limit', 0)), int(qs.get('offset', 0))))
            return self.faulted('help', go)
        if p == '/api/v1/actionalias':
            qs = dict(x.split('=', 1) for x in q.split('&') if '=' in x); off, lim = int(qs.get('offset', 0)), int(qs.get('limit', 100))
            page = st.aliases[off:off + lim] if lim > 0 else st.aliases[off:]
            return self.faulted('help', lambda: self.send(200, page, extra=b'X-Total-Count: %d\r\nX-Limit: %d\r\n' % (len(st.aliases), lim)) if self.authed(h) else self.send(401, {"faultstring": "Unauthorized"}))
        if p == '/auth/v1/tokens' and meth == 'POST':
            def go():
                try: u, _, pw = base64.b64decode(h.get('authorization', 'Basic ').split(' ')[1]).decode().partition(':')
                except Exception: u = pw = ''
                if pw != 'secret': return self.send(401, {"faultstring": "Invalid or missing credentials"})
                tok = uuid.uuid4().hex; st.tokens[tok] = u; st.revoked = False
                self.send(201, {"id": hexid(len(st.tokens)), "user": u, "token": tok, "expiry": stamp(days=1), "service": False, "metadata": {}})
            return self.faulted('tokens', go)
        if p == '/auth/v1/tokens/validate':
            if meth != 'POST': return self.send(404, {"faultstring": "The resource could not be found."})
            if not self.authed(h): return self.send(401, {"faultstring": "Unauthorized - One of Token or API key required."})
            j = json.loads(body or b'{}'); return self.send(200, {"valid": j.get('token') in st.tokens})
        if p in ('/api/v1/', '/api/v1'): return self.send(200, {"version": "3.10dev", "docs_url": "http://docs.stackstorm.com/latest"}) if self.authed(h) else self.send(401, {"faultstring": "Unauthorized"})
        if p.startswith('/api/v1/executions/'): return self.send(200, {"id": p.rsplit('/', 1)[1], "status": "succeeded", "result": {"stdout": "ok", "return_code": 0}})
        if p.startswith('/api/v1/inquiries'): return self.send(200, [])
        if p == '/stream/v1/stream':
            def go():
                if not self.authed(h): return self.send(401, {"faultstring": "Unauthorized"})
                self.stream = True; self.events = [e for e in urllib.parse.unquote(dict(x.split('=', 1) for x in q.split('&') if '=' in x).get('events', '')).split(',') if e]; st.stream_conns.append(('open', now(), h.get('last-event-id'), q))
                self.t.write(b'HTTP/1.1 200 OK\r\nDate: ' + http_date() + b'\r\nContent-Type: text/event-stream; charset=UTF-8\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\nConnection: close\r\n\r\n')
                st.streams.add(self)
            return self.faulted('stream', go)
        if p == '/_stats':
            return self.send(200, {"counts": st.counts, "execs": [(a, b) for a, b, _ in st.execs], "last_exec": st.execs[-1][2] if st.execs else None, "matches": st.matches, "stream_conns": st.stream_conns, "streams": len(st.streams), "bursts": st.bursts, "now": now()})
        if p == '/_ctl':
            j = json.loads(body)
            if 'fault' in j: st.fault.update(j['fault'])
            if 'aliases' in j: st.aliases = mk_aliases(j['aliases'])
            if 'auto_result' in j: st.auto = j['auto_result']
            if j.get('reset'): st.execs.clear(); st.matches.clear(); st.counts.clear(); st.stream_conns.clear(); st.bursts.clear()
            if j.get('revoke'): st.revoked = True
            if j.get('drop_streams'):
                for s in list(st.streams): s.t.abort() if j.get('abort') else s.t.close()
                st.streams.clear()
            if 'raw' in j: broadcast(j['raw'].encode())
            if 'noise' in j:
                nz = j['noise']; e = event_bytes('st2.execution__update', {"id": hexid(1), "status": "succeeded", "result": {"stdout": "x" * nz['size']}})
                asyncio.ensure_future(burst({"count": nz['count'], "id": nz.get('id', 'noise'), "bytes": e}))
            if 'burst' in j: asyncio.ensure_future(burst(j['burst']))
            return self.send(200, {"ok": True, "now": now()})
        self.send(404, {"faultstring": "The resource could not be found."})
def broadcast(b, name=None):
    """Without a name, writes raw bytes or heartbeats to every stream; otherwise, StackStorm's ?events= filter applies."""
    for s in list(st.streams):
        if name is None or wants(s, name): s.t.write(b)
def wants(s, name): return not s.events or any(fnmatch.fnmatchcase(name, e) for e in s.events)
async def burst(o):
    n = o['count']; rate = o.get('rate', 0); bid = o.get('id', 'b'); pad = 'x' * o.get('pad', 0); t0 = now(); sent = 0; nostream = 0
    for i in range(n):
        if not st.streams: nostream += 1
        name = 'st2.execution__update' if o.get('bytes') else 'st2.announcement__' + o.get('route', 'errbot')
        payload = {"user": o.get('user'), "channel": o.get('channel', '#ops'), "whisper": o.get('whisper', False), "message": '%s:%d %s' % (bid, i, pad), "context": None, "extra": o.get('extra') or {}}
        if not o.get('bytes'): record(payload, o.get('route', 'errbot'))
        b = o.get('bytes') or event_bytes(name, {"payload": payload, "trace_context": None})
        for s in list(st.streams):
            if not wants(s, name): continue
            s.t.write(b)
            if not s.can.is_set(): await s.can.wait()
        sent += 1
        if rate:
            d = (t0 + (i + 1) * 1e9 / rate - now()) / 1e9
            if d > 0.001: await asyncio.sleep(d)
        elif i % 200 == 0: await asyncio.sleep(0)
    st.bursts.append({"id": bid, "t0": t0, "t1": now(), "sent": sent, "nostream": nostream})
async def hb():
    while True:
        await asyncio.sleep(A.heartbeat); broadcast(b'\n')
async def main():
    s = await asyncio.get_running_loop().create_server(P, '127.0.0.1', A.port, backlog=1024)
    asyncio.ensure_future(hb())
    await s.serve_forever()
asyncio.run(main())
