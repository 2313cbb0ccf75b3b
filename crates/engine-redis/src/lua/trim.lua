-- Removes the oldest events, a bounded number of them.
-- KEYS: the events. ARGV: the last seq to remove, most events to remove at once.
-- Returns 1 when there is more to remove.
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then
  if string.find(info.err, 'no such key', 1, true) then
    return 0
  end
  return info
end
local begun, head, oldest
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then
    begun, head = string.match(info[i + 1], '^(%d+)-(%d+)$')
  elseif info[i] == 'first-entry' and info[i + 1] then
    oldest = string.match(info[i + 1][1], '-(%d+)$')
  end
end
if not oldest then
  return 0
end
local wanted = math.min(tonumber(ARGV[1]), tonumber(head))
local up_to = math.min(wanted, tonumber(oldest) + tonumber(ARGV[2]) - 1)
if up_to >= tonumber(oldest) then
  redis.call('XTRIM', KEYS[1], 'MINID', '=', string.format('%s-%.0f', begun, up_to + 1))
end
return up_to < wanted and 1 or 0
