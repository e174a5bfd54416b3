/** The network of a client address: the unit of rate limits for clients that are not authenticated. */

/** A client by its network. `isShared`: the network is unknown, so all such clients count as one. */
export interface Client {
  readonly network: string
  readonly isShared: boolean
}

const UNKNOWN_CLIENT: Client = { network: "nobody", isShared: true }

/**
 * The client of an address as the platform reports it (`cf-connecting-ip`): an IPv4 address, or the first 64 bits of an
 * IPv6 address, since an internet provider assigns a customer at least that much. A missing or invalid address and loopback
 * are one shared client.
 */
export function networkOf(address: string | null): Client {
  if (address === null) return UNKNOWN_CLIENT
  const v4 = IPV4.exec(address.replace(/^::ffff:/i, ""))
  if (v4) return v4[1] === "127" ? UNKNOWN_CLIENT : { network: v4[0], isShared: false }
  const groups = groupsOf(address)
  if (groups === null || groups.every((group, index) => group === (index === 7 ? 1 : 0))) return UNKNOWN_CLIENT
  const head = groups.slice(0, 4).map((group) => group.toString(16))
  return { network: `${head.join(":")}::/64`, isShared: false }
}

const IPV4 = /^(25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$/

/** The eight groups of an IPv6 address (RFC 4291, section 2.2, without embedded IPv4); null when it is none. */
function groupsOf(address: string): readonly number[] | null {
  const [head = "", tail, more] = address.split("::")
  if (address.length > 39 || more !== undefined) return null
  const before = head === "" ? [] : head.split(":")
  const after = tail === undefined || tail === "" ? [] : tail.split(":")
  const missing = 8 - before.length - after.length
  if (tail === undefined ? missing !== 0 : missing < 1) return null
  const all = [...before, ...Array<string>(missing).fill("0"), ...after]
  return all.every((group) => /^[0-9a-f]{1,4}$/i.test(group)) ? all.map((group) => Number.parseInt(group, 16)) : null
}
