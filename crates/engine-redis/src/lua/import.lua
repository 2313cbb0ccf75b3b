-- Puts events behind the head, if it is where they were taken from. A stream that is not there begins there.
-- KEYS: the events, the stream's life, the keys of the events' day. ARGV: a number drawn for a new life, the epoch
-- without the life of the data, the seq of the head, for how many ms a day's keys are kept, then of each event the body,
-- its idempotency key and fingerprint (or nothing, twice).
-- Returns 0, or 1 when the head is elsewhere.
local events, meta, bucket = KEYS[1], KEYS[2], KEYS[3]
local epoch, after = tonumber(ARGV[2]), ARGV[3]
local function xor(a, b)
  return bit.bxor(tonumber(a), tonumber(b)) % 4294967296
end
local info = redis.pcall('XINFO', 'STREAM', events)
local begun, head, salt
if info.err then
  if not string.find(info.err, 'no such key', 1, true) then
    return info
  end
  begun = ARGV[1]
  salt = string.format('%.0f', xor(begun, epoch))
else
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      begun, head = string.match(info[i + 1], '^(%d+)-(%d+)$')
    end
  end
  salt = string.match(redis.call('GET', meta) or '', '%^(%d+)$') or '0'
  if head ~= after or xor(begun, salt) ~= epoch then
    return 1
  end
end
local seq = tonumber(after)
local function id()
  return begun .. '-' .. string.format('%.0f', seq)
end
if not head and seq > 0 then
  -- The head is there, and its event is not.
  redis.call('XADD', events, id(), 'b', '')
  redis.call('XTRIM', events, 'MAXLEN', '=', 0)
end
for i = 5, #ARGV, 3 do
  seq = seq + 1
  redis.call('XADD', events, id(), 'b', ARGV[i])
  if ARGV[i + 1] ~= '' then
    redis.call('HSET', bucket, ARGV[i + 1], ARGV[i + 2] .. id())
  end
end
redis.call('PEXPIRE', bucket, ARGV[4], 'NX')
if seq > 0 then
  redis.call('SET', meta, begun .. '+^' .. salt)
  redis.call('PUBLISH', events, id())
end
return 0
