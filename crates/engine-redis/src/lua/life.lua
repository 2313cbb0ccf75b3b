-- The number of the data's life, renewed when this run may have lost what a former one acknowledged.
-- KEYS: the record. ARGV: this run, the run it took over from, whether restarts keep all (0, 1),
-- whether replicas had all (0, 1), a number drawn for a new life.
local known = redis.call('HMGET', KEYS[1], 'life', 'run')
if known[1] and known[2] == ARGV[1] then
  return tonumber(known[1])
end
local kept
if known[1] and known[2] == ARGV[2] then
  kept = ARGV[4] == '1'
else
  kept = ARGV[3] == '1'
end
local life = kept and known[1] or ARGV[5]
redis.call('HSET', KEYS[1], 'life', life, 'run', ARGV[1])
return tonumber(life)
