#!lua flags=allow-oom
-- Gives a stream another epoch.
-- KEYS: the events, the stream's life. ARGV: the epoch without the life of the data.
-- Returns 0; a stream that is not there has no epoch to honour.
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then
  if string.find(info.err, 'no such key', 1, true) then
    return 0
  end
  return info
end
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then
    local begun = string.match(info[i + 1], '^%d+')
    local salt = bit.bxor(tonumber(begun), tonumber(ARGV[1])) % 4294967296
    redis.call('SET', KEYS[2], begun .. '+^' .. string.format('%.0f', salt))
    redis.call('PUBLISH', KEYS[1], info[i + 1])
  end
end
return 0
