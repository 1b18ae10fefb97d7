-- Removes the rows and changes fields of meta, if each of them is still what it was: all of it, or
-- nothing.
--
-- ARGV: for each field its name, the value before and the value after; empty: it is not there.
writable()
local broken = whole()
if broken then return broken end
for n = 1, #ARGV, 3 do
  if (redis.call('HGET', meta, ARGV[n]) or '') ~= ARGV[n + 1] then
    return redis.error_reply('STALE a segment was changed')
  end
end
-- Two commands that were not tried yet: if the user may not run them, nothing has been changed.
redis.call('HSET', meta, 'definition', redis.call('HGET', meta, 'definition'))
redis.call('UNLINK', rows .. ':none')
redis.call('UNLINK', rows, order)
redis.call('HSET', rows, '', '')
redis.call('ZADD', order, 0, '')
for n = 1, #ARGV, 3 do
  if ARGV[n + 2] == '' then
    redis.call('HDEL', meta, ARGV[n])
  else
    redis.call('HSET', meta, ARGV[n], ARGV[n + 2])
  end
end
return redis.status_reply('OK')
