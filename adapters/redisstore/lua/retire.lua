-- Removes a generation that is not live and that no worker attends.
writable()
if redis.call('HGET', generations, version) == 'live' then return redis.error_reply('LIVE it is live') end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local fields = redis.call('HGETALL', meta)
for n = 1, #fields, 2 do
  if string.sub(fields[n], 1, 7) == 'worker:' and tonumber(fields[n + 1]) > now then
    return redis.error_reply('ATTENDED by ' .. fields[n])
  end
end
redis.call('UNLINK', meta, rows, order)
redis.call('HDEL', generations, version)
return redis.status_reply('OK')
