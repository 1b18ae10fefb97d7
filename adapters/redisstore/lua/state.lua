-- Returns the seconds and microseconds of the server's clock, then all of meta: field, value, …
local broken = whole()
if broken then return broken end
local found = redis.call('TIME')
for _, text in ipairs(redis.call('HGETALL', meta)) do found[#found + 1] = text end
return found
