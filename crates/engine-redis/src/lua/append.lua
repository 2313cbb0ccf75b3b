-- Appends one event, or finds the one that its idempotency key stands for.
-- KEYS: the events, the stream's life, then the keys of the event's day and of the other days where
-- the key may be. ARGV: the body, a number drawn for a new life, then the key, its fingerprint and
-- for how many ms a day's keys are kept.
-- Returns {0, id, salt} for a new event, {1, id, salt} for a known one, {2} for a key of another event. The salt is
-- what the epoch differs in from what the other numbers tell, for a stream of another engine; nothing for all others.
local events, meta = KEYS[1], KEYS[2]
local key, fingerprint = ARGV[3], ARGV[4]
local begun, lived, salt = string.match(redis.call('GET', meta) or '', '^(%d+)(%+?)(%^?%d*)$')
local unrecorded = false
if not begun then
  -- The record of the life is gone, or there never was one. The ids of events tell it as well.
  local info = redis.pcall('XINFO', 'STREAM', events)
  if not info.err then
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then
        begun, lived, salt, unrecorded = string.match(info[i + 1], '^%d+'), '+', '', true
      end
    end
  elseif string.find(info.err, 'no such key', 1, true) then
    begun, lived, salt = ARGV[2], '', ''
  else
    return info
  end
end
for i = 3, #KEYS do
  local known = redis.call('HGET', KEYS[i], key)
  -- A key of a former life stands for an event that is gone.
  if known and string.match(known, '^(%d+)-%d+$', 17) == begun and redis.call('EXISTS', events) == 1 then
    if string.sub(known, 1, 16) == fingerprint then
      return {1, string.sub(known, 17), salt}
    end
    return {2}
  end
end
local id
if lived == '+' then
  -- Nothing when the events were lost.
  id = redis.call('XADD', events, 'NOMKSTREAM', begun .. '-*', 'b', ARGV[1])
  if not id then
    begun, salt = ARGV[2], ''
  end
end
if not id then
  id = redis.call('XADD', events, begun .. '-1', 'b', ARGV[1])
  unrecorded = true
end
if unrecorded then
  redis.call('SET', meta, begun .. '+' .. salt)
end
if key then
  redis.call('HSET', KEYS[3], key, fingerprint .. id)
  redis.call('PEXPIRE', KEYS[3], ARGV[5], 'NX')
end
redis.call('PUBLISH', events, id)
return {0, id, salt}
