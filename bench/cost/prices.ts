/**
 * What the services charge, as their public pages said on `PRICES_AS_OF`, in US dollars a month. Check each page before you rely on a
 * figure: prices change, and this file does not.
 */

export const PRICES_AS_OF = "2026-11-30"

export const SOURCES = {
  cloudflare: "https://developers.cloudflare.com/workers/platform/pricing/",
  cloudflareLimits: "https://developers.cloudflare.com/workers/platform/limits/",
  neon: "https://neon.com/docs/introduction/plans",
  neonConnections: "https://neon.com/docs/connect/connection-pooling",
  redis: "https://upstash.com/pricing/redis",
  qstash: "https://upstash.com/pricing/qstash",
} as const

/** Workers Paid, Standard usage model. Requests that a Worker makes itself are not billed. */
export const CLOUDFLARE = {
  base: 5,
  requestsIncluded: 10e6,
  perMillionRequests: 0.3,
  cpuMsIncluded: 30e6,
  perMillionCpuMs: 0.02,
  subrequestsPerRequest: 10_000,
} as const

/** Launch up to 16 compute units, Scale above; a unit has about one processor and 4 GB. */
export const NEON = {
  launchPerUnitHour: 0.106,
  scalePerUnitHour: 0.222,
  unitsMin: 0.25,
  unitsAutoscalingMax: 16,
  unitsFixedMax: 56,
  perGbMonth: 0.35,
  perGbMonthOfHistory: 0.2,
  historyDays: 7,
  egressGbIncluded: 100,
  perGbEgress: 0.1,
  gbPerBranchMax: 16_000,
  connectionsMax: 4_000,
} as const

/** Pay as you go, one region. */
export const REDIS = { perHundredThousandCommands: 0.2 } as const

/** Pay as you go, or a fixed plan where that is cheaper. */
export const QSTASH = {
  perHundredThousandMessages: 1,
  fixed: [
    { messagesPerDay: 1e6, price: 180 },
    { messagesPerDay: 10e6, price: 420 },
  ],
  parallelism: 100,
  bytesPerMessage: 10e6,
} as const
