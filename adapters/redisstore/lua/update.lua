-- Changes fields of meta, if each of them is still what it was: all of them, or none.
--
-- ARGV: for each field its name, the value before and the value after; empty: it is not there.
writable()
local broken = whole()
if broken then return broken end
for n = 1, #ARGV, 3 do
  if (redis.call('HGET', meta, ARGV[n]) or '') ~= ARGV[n + 1] then
    return redis.error_reply('STALE a lease was changed')
  end
end
-- HSET first: it was not tried yet, and if the user may not run it nothing has been changed.
for n = 1, #ARGV, 3 do
  if ARGV[n + 2] ~= '' then redis.call('HSET', meta, ARGV[n], ARGV[n + 2]) end
end
for n = 1, #ARGV, 3 do
  if ARGV[n + 2] == '' then redis.call('HDEL', meta, ARGV[n]) end
end
return redis.status_reply('OK')
