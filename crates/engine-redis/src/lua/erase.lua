#!lua flags=allow-oom
-- Removes the events of a stream. Its keys are of a former life then, and go with their days.
-- KEYS: the events, the stream's life. ARGV: the epoch of what comes without the life of the data, for how many ms a
-- life without events is kept.
-- Returns 0.
redis.call('UNLINK', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('PUBLISH', KEYS[1], ARGV[1] .. '-0')
return 0
