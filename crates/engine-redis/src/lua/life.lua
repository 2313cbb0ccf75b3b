#!lua flags=allow-oom
-- The number of the data's life, renewed when this run of a server may have lost what a former one gave out.
-- KEYS: the record. ARGV: this run, whether it has everything that a former one had (0, 1), a number
-- drawn for a new life.
local known = redis.call('HMGET', KEYS[1], 'life', 'run')
if known[1] and known[2] == ARGV[1] then
  return tonumber(known[1])
end
local life = known[1] and ARGV[2] == '1' and known[1] or ARGV[3]
redis.call('HSET', KEYS[1], 'life', life, 'run', ARGV[1])
return tonumber(life)
