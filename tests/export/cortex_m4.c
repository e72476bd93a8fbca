/* A program without an operating system: it starts at `reset`, shows numbers and ends by semihosting. */
int main(void);
void reset(void);
void stack_top(void);
static void (*const vectors[])(void) __attribute__((section(".vectors"), used)) = {stack_top, reset};

static void semihosting(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void show(float v)
{
    char line[10];
    unsigned bits;
    memcpy(&bits, &v, 4);
    for (int i = 0; i < 8; i++)
        line[i] = "0123456789abcdef"[bits >> (28 - 4 * i) & 15];
    line[8] = '\n';
    line[9] = 0;
    semihosting(0x04, line); /* SYS_WRITE0 */
}

void reset(void)
{
    *(volatile unsigned *)0xe000ed88 = 0xfu << 20; /* CPACR: the FPU works */
    main();
    semihosting(0x18, (const void *)0x20026); /* SYS_EXIT: the application has ended */
    for (;;)
        ;
}
