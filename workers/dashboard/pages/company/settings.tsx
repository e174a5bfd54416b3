/** The company's settings: names, times, limits, playbooks and when members at risk are contacted. */
import { Hono } from "hono"
import type { Child, FC } from "hono/jsx"
import * as z from "zod"
import { CHANNELS } from "../../../../shared/domain/facts.ts"
import { MEMBER_CHANNELS } from "../../../../shared/domain/settings.ts"
import { AppError } from "../../../platform/errors.ts"
import { act, type DashboardContext, type DashboardEnv, formOf, frameOf, show } from "../../page.tsx"
import { KIND_NAMES } from "../../parts/cases.tsx"
import { Choice, Heading, Panel, PostForm } from "../../parts/parts.tsx"
import {
  EMPTY_ROWS,
  type PlaybookKind,
  type PlaybookStep,
  type Settings,
  withGeneral,
  withLimits,
  withPlaybook,
  withRisk,
} from "../../parts/settings-form.ts"
import type { Viewer } from "../../viewer.ts"

const PATH = "/dashboard/settings"

const playbookKind = z.enum(["payment", "cancellation", "at_risk"])

export const settings = new Hono<DashboardEnv>()
  .get("/", async (c) => {
    const current = await c.get("ask")("GET /api/settings")
    return show(c, "Settings", PATH, <SettingsPage {...frameOf(c)} settings={current} />)
  })
  .post("/", (c) => save(c, withGeneral))
  .post("/limits", (c) => save(c, withLimits))
  .post("/risk", (c) => save(c, withRisk))
  .post("/playbooks/:kind", (c) => {
    const { data: kind } = playbookKind.safeParse(c.req.param("kind"))
    if (kind === undefined) throw new AppError("NOT_FOUND", "There is no such playbook.")
    return save(c, (current, form) => withPlaybook(current, kind, form))
  })

/** Saves what a form changes, unless the settings are no longer those that the form was made from. */
async function save(
  c: DashboardContext,
  change: (current: Settings, form: Readonly<Record<string, string>>) => object,
): Promise<Response> {
  const form = await formOf(c)
  return act(c, PATH, async () => {
    const ask = c.get("ask")
    const current = await ask("GET /api/settings")
    if (form.version !== versionOf(current)) {
      throw new AppError("CONFLICT", "The settings were changed by another user. Reload the page.", {
        reason: "stale_form",
      })
    }
    await ask("PUT /api/settings", { body: change(current, form) })
    return "saved"
  })
}

/** Tells whether the settings are those that the form was made from. */
const versionOf = (current: Settings): string => JSON.stringify(current)

interface FormProps {
  readonly current: Settings
  readonly isLocked: boolean
}

const SettingsPage: FC<{ readonly viewer: Viewer; readonly settings: Settings }> = ({ viewer, settings: current }) => {
  const isLocked = !viewer.can("settings:write")
  return (
    <>
      <Heading title="Settings" lead="Settings for all messages of the company." />
      <Panel title="General">
        <SettingsForm current={current} isLocked={isLocked} action={PATH} button="Save">
          <label>
            Name in messages
            <input name="brandName" value={current.brandName ?? ""} maxlength={80} />
          </label>
          <label>
            Support address
            <input type="email" name="supportEmail" value={current.supportEmail ?? ""} />
          </label>
          <label>
            Country (two letters)
            <input name="country" value={current.country ?? ""} pattern="[A-Z]{2}" />
          </label>
          <label>
            Time zone
            <input name="timeZone" value={current.timeZone} required />
          </label>
          <label>
            No message for invoices older than (days)
            <input type="number" name="invoiceAgeDaysMax" min="1" value={String(current.invoiceAgeDaysMax)} required />
          </label>
          <div class="filters">
            <label>
              No messages from
              <input type="time" name="quietStart" value={current.quietHours?.start ?? ""} />
            </label>
            <label>
              until, in the member's time
              <input type="time" name="quietEnd" value={current.quietHours?.end ?? ""} />
            </label>
          </div>
          <label class="inline">
            <input type="checkbox" name="alertTeam" value="yes" checked={current.alertTeam} /> Send Slack alerts for new
            cases
          </label>
        </SettingsForm>
      </Panel>
      {playbookKind.options.map((kind) => (
        <PlaybookForm kind={kind} current={current} isLocked={isLocked} />
      ))}
      <LimitsForm current={current} isLocked={isLocked} />
      <RiskForm current={current} isLocked={isLocked} />
    </>
  )
}

/** A form of settings with the version that it was made from; without the button for those who may only read. */
const SettingsForm: FC<FormProps & { readonly action: string; readonly button: string; readonly children?: Child }> = ({
  current,
  isLocked,
  action,
  button,
  children,
}) => (
  <PostForm class="stack" action={action}>
    <input type="hidden" name="version" value={versionOf(current)} />
    <fieldset class="stack" disabled={isLocked}>
      {children}
      {!isLocked && (
        <div>
          <button type="submit">{button}</button>
        </div>
      )}
    </fieldset>
  </PostForm>
)

const PlaybookForm: FC<FormProps & { readonly kind: PlaybookKind }> = ({ kind, current, isLocked }) => {
  const steps = current.playbooks[kind]
  const rows = [...steps, ...(isLocked ? [] : Array.from({ length: EMPTY_ROWS }, () => null))]
  return (
    <Panel
      title={`Playbook: ${KIND_NAMES[kind]}`}
      note="Days are counted from the opening of the case. Without a channel, the first available one is used. Slack messages go to the team. A step without a day is removed."
    >
      <SettingsForm
        current={current}
        isLocked={isLocked}
        action={`${PATH}/playbooks/${kind}`}
        button={`Save the playbook: ${KIND_NAMES[kind]}`}
      >
        {rows.map((step, index) => (
          <StepFields step={step} index={index} />
        ))}
      </SettingsForm>
    </Panel>
  )
}

const StepFields: FC<{ readonly step: PlaybookStep | null; readonly index: number }> = ({ step, index }) => {
  const field = (name: string) => `step.${index}.${name}`
  const incentive = step?.incentive ?? null
  const discount = incentive?.kind === "discount" ? incentive : null
  const freeDays = incentive?.kind === "free_days" ? incentive : null
  return (
    <fieldset class="filters">
      <legend>{step === null ? "New step" : `Step ${index + 1}`}</legend>
      <NumberField label="Day" name={field("day")} value={step?.day ?? null} max={365} />
      <Choice
        name={field("channel")}
        label="Channel"
        value={step?.channel ?? undefined}
        options={CHANNELS.map((channel) => [channel, channel])}
        all="the first that reaches"
      />
      <Choice
        name={field("incentive")}
        label="Incentive"
        value={incentive?.kind}
        options={[
          ["discount", "discount"],
          ["free_days", "free days"],
        ]}
        all="none"
      />
      <NumberField label="Percent off" name={field("percentOff")} value={discount?.percentOff ?? null} max={100} />
      <NumberField label="for months" name={field("months")} value={discount?.months ?? null} max={36} />
      <NumberField label="Free days" name={field("days")} value={freeDays?.days ?? null} max={365} />
    </fieldset>
  )
}

const LimitsForm: FC<FormProps> = ({ current, isLocked }) => {
  const caps = [...current.frequencyCaps, ...(isLocked ? [] : [null])]
  return (
    <Panel title="Channels and limits" note="Limits hold for one member over all cases and channels.">
      <SettingsForm current={current} isLocked={isLocked} action={`${PATH}/limits`} button="Save channels and limits">
        <fieldset class="filters">
          <legend>Channels, the first that reaches a member is used</legend>
          {MEMBER_CHANNELS.map((_, index) => (
            <Choice
              name={`channel.${index}.name`}
              label={`Channel ${index + 1}`}
              value={current.channelOrder[index]}
              options={MEMBER_CHANNELS.map((channel) => [channel, channel])}
              all="none"
            />
          ))}
        </fieldset>
        {caps.map((cap, index) => (
          <fieldset class="filters">
            <legend>{cap === null ? "New limit" : `Limit ${index + 1}`}</legend>
            <NumberField label="Messages at most" name={`cap.${index}.max`} value={cap?.max ?? null} max={100} />
            <NumberField label="within hours" name={`cap.${index}.hours`} value={cap?.hours ?? null} max={8_760} />
          </fieldset>
        ))}
        <NumberField
          label="At most one incentive within days"
          name="incentivePeriodDays"
          value={current.incentivePeriodDays}
          max={3_650}
        />
      </SettingsForm>
    </Panel>
  )
}

const RISK_FIELDS: Readonly<Record<keyof Settings["atRisk"], string>> = {
  marginPercent: "Margin of a payment (percent)",
  valueMonths: "Months that a retained member stays",
  contactCostMinor: "Cost of one contact (minor units, such as cents)",
  assumedUplift: "Share of cancellations that contact prevents (0 to 1), until it is measured",
  casesPerDay: "Cases opened per day at most",
  restDays: "Days without a message before a case",
  periodDays: "Days until a case closes",
}

const RiskForm: FC<FormProps> = ({ current, isLocked }) => (
  <Panel
    title="Members at risk and hold-out"
    note="A member at risk is contacted where the expected value exceeds the cost. Held-out cases get no messages, so that the effect can be measured."
  >
    <SettingsForm current={current} isLocked={isLocked} action={`${PATH}/risk`} button="Save risk and hold-out">
      <NumberField
        label="Share of new cases that is held out (percent, 0 to 50); empty: the deployment's"
        name="holdoutPercentage"
        value={current.holdoutPercentage}
        max={50}
      />
      {Object.entries(RISK_FIELDS).map(([name, label]) => (
        <NumberField
          label={label}
          name={name}
          value={current.atRisk[name as keyof Settings["atRisk"]]}
          {...(name === "marginPercent" || name === "assumedUplift" ? { step: "any" } : {})}
        />
      ))}
    </SettingsForm>
  </Panel>
)

const NumberField: FC<{
  readonly label: string
  readonly name: string
  readonly value: number | null
  readonly max?: number
  /** Absent: whole numbers. */
  readonly step?: string
}> = ({ label, name, value, max, step = "1" }) => (
  <label>
    {label}
    <input type="number" name={name} value={value === null ? "" : String(value)} min="0" max={max} step={step} />
  </label>
)
