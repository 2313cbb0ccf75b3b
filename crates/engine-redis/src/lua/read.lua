#!lua flags=allow-oom
-- What a stream holds, and a page of it.
-- KEYS: the events, the stream's life. ARGV: the seq after which to read or nothing for the oldest,
-- most events, most bytes, a number drawn for a new life, for how many ms a life without events is kept.
-- Returns {id of the last event ever, id of the oldest or nothing, {id, body, ...}, salt (see append.lua)}.
local events, meta = KEYS[1], KEYS[2]
local after, limit, bytes_max = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local info = redis.pcall('XINFO', 'STREAM', events)
if info.err then
  if not string.find(info.err, 'no such key', 1, true) then
    return info
  end
  local begun = string.match(redis.call('GET', meta) or '', '^(%d+)$')
  if not begun then
    begun = ARGV[4]
    redis.call('SET', meta, begun, 'PX', ARGV[5])
  end
  return {begun .. '-0', '', {}, ''}
end
local salt = string.match(redis.call('GET', meta) or '', '%^%d+$') or ''
local last, oldest = '', ''
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then
    last = info[i + 1]
  elseif info[i] == 'first-entry' and info[i + 1] then
    oldest = info[i + 1][1]
  end
end
local from = '-'
if after ~= '' then
  from = '(' .. string.match(last, '^%d+') .. '-' .. after
end
local page, count, bytes = {}, 0, 0
while count < limit do
  -- Few at a time, because they may be large.
  local asked = math.min(64, limit - count)
  local found = redis.call('XRANGE', events, from, '+', 'COUNT', asked)
  for _, event in ipairs(found) do
    local body = event[2][2]
    bytes = bytes + #body
    if count > 0 and bytes > bytes_max then
      return {last, oldest, page, salt}
    end
    count = count + 1
    page[2 * count - 1], page[2 * count] = event[1], body
    from = '(' .. event[1]
  end
  if #found < asked then
    break
  end
end
return {last, oldest, page, salt}
