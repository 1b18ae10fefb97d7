// Preloaded into every emulator (node -r): a server listens on 127.0.0.1 and nowhere else.
// Some of them listen on all interfaces and have no option for it.
const net = require('net')
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (...args) {
  if (/^\d+$/.test(String(args[0]))) {
    return listen.call(this, { port: Number(args[0]), host: '127.0.0.1' }, args.find(a => typeof a === 'function'))
  }
  if (args[0] && typeof args[0] === 'object' && args[0].port !== undefined) {
    args[0] = { ...args[0], host: '127.0.0.1' }
  }
  return listen.apply(this, args)
}
