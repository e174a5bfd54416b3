/** Redirects of members go only to pages of the provider. */

/** The address if it is an https page on one of the hosts (exact names, or `.suffix`); else null. Never throws. */
export function safeRedirect(address: string | null, hosts: readonly string[]): string | null {
  if (address === null || !URL.canParse(address)) return null
  const url = new URL(address)
  const isPlain = url.protocol === "https:" && url.port === "" && url.username === "" && url.password === ""
  return isPlain && hosts.some((host) => isOn(url.hostname, host)) ? url.href : null
}

const isOn = (hostname: string, host: string): boolean =>
  host.startsWith(".") ? hostname.length > host.length && hostname.endsWith(host) : hostname === host
