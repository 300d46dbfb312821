import { type Command, DESCRIPTIONS, type Definition, argvOf, xmlText } from "./definition.ts";

/**
 * A task of the Task Scheduler, which is part of Windows. A Windows service proper must answer the service control manager, which Node
 * cannot: under `sc.exe create` it is ended after 30 s, and what wraps it (WinSW, NSSM) is another program to trust. The client
 * is one user's anyway, and this runs as that user from the logon on, without a stored password.
 */
export function windowsClient(command: Command): Definition[] {
  const [program, ...words] = argvOf(command, "client");
  const text = `<?xml version="1.0"?>
<!-- Register it in PowerShell: Register-ScheduledTask -TaskName wkfs-client -Xml (Get-Content -Raw wkfs-client.xml) -->
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>${xmlText(DESCRIPTIONS.client)}</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>999</Count>
    </RestartOnFailure>
    <Hidden>true</Hidden>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>${xmlText(program!)}</Command>
      <Arguments>${xmlText(words.map(argument).join(" "))}</Arguments>
    </Exec>
  </Actions>
</Task>
`;
  return [{ path: `${command.home}\\wkfs-client.xml`, text, mode: 0o644 }];
}

/** A word as the C runtime of Windows reads it. */
function argument(word: string): string {
  if (/^[^\s"]+$/.test(word)) return word;
  return `"${word.replaceAll(/(\\*)"/g, '$1$1\\"').replaceAll(/(\\+)$/g, "$1$1")}"`;
}
