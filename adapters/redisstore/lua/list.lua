-- Returns the rows in a range of the order: key, value, key, value, …
--
-- ARGV: start, stop, how many, REV or nothing, where the key begins in an entry; 0 if it
--       follows the first \0\1.
local broken = whole()
if broken then return broken end
local range = { 'ZRANGE', order, ARGV[1], ARGV[2], 'BYLEX' }
if ARGV[4] ~= '' then range[6] = ARGV[4] end
range[#range + 1], range[#range + 2], range[#range + 3] = 'LIMIT', 0, ARGV[3]
local keys = redis.call(unpack(range))
local begin = tonumber(ARGV[5])
for n, entry in ipairs(keys) do
  local from = begin
  if from == 0 then from = select(2, string.find(entry, '\0\1', 1, true)) + 1 end
  keys[n] = string.sub(entry, from)
end
local found = {}
chunks(1, #keys, function(from, to)
  local values = redis.call('HMGET', rows, unpack(keys, from, to))
  for n = from, to do
    found[#found + 1] = keys[n]
    found[#found + 1] = values[n - from + 1]
  end
end)
return found
