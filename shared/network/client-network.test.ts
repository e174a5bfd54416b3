import { expect, test } from "vitest"
import { networkOf } from "./client-network.ts"

test.each([
  ["203.0.113.7", "203.0.113.7"],
  ["::ffff:203.0.113.7", "203.0.113.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:0DB8:0001:0002::1", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["2001:db8::", "2001:db8:0:0::/64"],
  ["::2", "0:0:0:0::/64"],
])("%s is in the network %s", (address, network) => {
  expect(networkOf(address)).toEqual({ network, isShared: false })
})

test("addresses of one /64 are one client", () => {
  const networks = Array.from({ length: 1_000 }, (_, index) => networkOf(`2001:db8:1:2::${index.toString(16)}`).network)
  expect(new Set(networks).size).toBe(1)
})

test.each([
  null,
  "",
  "127.0.0.1",
  "127.9.9.9",
  "::1",
  "::ffff:127.0.0.1",
  "localhost",
  "256.1.1.1",
  "1.2.3",
  "1.2.3.4, 5.6.7.8",
  "2001:db8::1::2",
  "2001:db8:1:2:3:4:5",
  "2001:db8:1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8::",
  "fe80::1%eth0",
  "::ffff:999.1.1.1",
  "x".repeat(10_000),
])("%j is the shared client", (address) => {
  expect(networkOf(address)).toEqual({ network: "nobody", isShared: true })
})
