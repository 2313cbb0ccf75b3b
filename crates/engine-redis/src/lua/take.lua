#!lua flags=allow-oom
-- One step of the generic cell rate algorithm, relative to the present so that numbers stay exact.
-- KEYS: the rate. ARGV: what the cost takes and what the burst holds, in ns, then the present as
-- seconds and ns if it is not the server's.
-- Returns for how many ns the units are booked, before the step and within the burst.
local cost, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local s, ns
if ARGV[3] then
  s, ns = tonumber(ARGV[3]), tonumber(ARGV[4])
else
  local now = redis.call('TIME')
  s, ns = tonumber(now[1]), tonumber(now[2]) * 1000
end
local stored_s, stored_ns = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+)$')
local booked = 0
if stored_s then
  booked = (tonumber(stored_s) - s) * 1e9 + (tonumber(stored_ns) - ns)
end
-- A clock that was set back, or a smaller quota, makes nobody wait longer than the window.
local before = math.max(0, math.min(booked, window))
local after = before
if before + cost <= window then
  after = before + cost
end
if after > 0 and after ~= booked then
  local whole = ns + after
  local seconds = math.floor(whole / 1e9)
  local value = string.format('%.0f %.0f', s + seconds, whole - seconds * 1e9)
  redis.call('SET', KEYS[1], value, 'PX', string.format('%.0f', math.ceil(after / 1e6) + 1000))
end
return before
